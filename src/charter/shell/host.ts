/**
 * What programs and expansions see of the shell that runs them.
 */
import type { ParsedScript, SyntaxNode } from 'unbash'
import type { Action, ActionClass } from '../actions.js'
import type { Places } from '../places.js'
import type { Field } from './field.js'
import type { Scope } from './scope.js'
import type { Stream } from './stream.js'

export interface ShellHost {
  readonly places: Places
  /** Says what is done; `what` follows "it". */
  report(name: ActionClass, what: string): void
  /** Reports something that only a run would show. */
  unresolved(what: string): Stream
  runText(text: string, scope: Scope, stdin: Stream): Stream
  /** Runs a substitution in a shell of its own and tells what it prints. */
  substitute(script: ParsedScript | undefined, scope: Scope): Stream
  /** `<(…)` and `>(…)`: runs the script and returns the path under which its output, or input, is. */
  processSubstitution(script: ParsedScript | undefined, operator: '<' | '>', scope: Scope): string
  /** Looks at the substitutions below a node whose value nobody needs. */
  nested(node: SyntaxNode, scope: Scope): void
  /** Runs a program, function or builtin. */
  invoke(argv: readonly Field[], scope: Scope, stdin: Stream): Stream
  /** What would be reported by a look at something that may or may not run. */
  foundIn(look: (host: ShellHost) => void): readonly Action[]
}

export interface Invocation {
  readonly shell: ShellHost
  /** Without its directory. */
  readonly name: string
  readonly args: readonly Field[]
  readonly scope: Scope
  readonly stdin: Stream
}

/** Reports what a program does; returns what it prints where that is known. */
export type Program = (call: Invocation) => Stream | undefined

export type Programs = Readonly<Record<string, Program>>

/** One program under many names, each list separated by spaces. */
export const named = (program: Program, ...lists: readonly string[]): Programs =>
  Object.fromEntries(lists.flatMap((list) => list.split(' ')).map((name) => [name, program]))
