/**
 * Reads a command line as bash would run it, without running it: follows its directory, variables, functions, pipes and
 * files, and reports what each program in it does. All ways that the shell may go are looked at; what cannot be made out is
 * reported as `unresolved`.
 */
import {
  type Command,
  type CommandNode,
  forEachChild,
  type ParsedScript,
  type Pipeline,
  parse,
  type Statement,
  type SyntaxNode,
} from 'unbash'
import type { Action, ActionClass } from '../actions.js'
import type { Places } from '../places.js'
import { andOr, compound, type Walker } from './control-flow.js'
import { expandText, expandWord } from './expand.js'
import { ANY, type Field, shown, textOf } from './field.js'
import type { ShellHost } from './host.js'
import { runProgram } from './programs.js'
import { redirected } from './redirection.js'
import type { Scope } from './scope.js'
import { after, NOTHING, type Stream, UNKNOWN } from './stream.js'
import { merged } from './syntax.js'
import { assignVariables } from './variables.js'

/** Commands that one line may come to, loops and functions included. */
const MAX_STEPS = 5_000
/** Scripts inside of scripts. */
const MAX_DEPTH = 24

export class Shell implements Walker {
  readonly #report: (action: Action) => void
  readonly places: Places
  #steps = 0
  #substitutions = 0
  #depth = 0

  /** `onCommand` is told of every program that would run, with its arguments as far as they are known. */
  constructor(
    places: Places,
    report: (action: Action) => void,
    private readonly onCommand: (argv: readonly string[]) => void = () => undefined,
  ) {
    this.places = places
    this.#report = report
  }

  report(name: ActionClass, what: string): void {
    this.#report({ class: name, what })
  }

  unresolved(what: string): Stream {
    this.report('unresolved', what)
    return UNKNOWN
  }

  /** Runs a script in `scope`. */
  runText(text: string, scope: Scope, stdin: Stream): Stream {
    if (this.#depth >= MAX_DEPTH) return this.unresolved('nests scripts in scripts too deeply to be read')
    this.#depth++
    try {
      return this.runScript(parse(text), scope, stdin)
    } finally {
      this.#depth--
    }
  }

  runScript(script: ParsedScript, scope: Scope, stdin: Stream): Stream {
    if (script.errors?.length) this.unresolved(`is not complete shell syntax: ${script.errors[0]?.message}`)
    return this.list(script.commands, scope, stdin)
  }

  substitute(script: ParsedScript | undefined, scope: Scope): Stream {
    if (!script) return this.unresolved('holds a substitution that cannot be read')
    return this.runScript(script, scope.clone(), NOTHING)
  }

  processSubstitution(script: ParsedScript | undefined, operator: '<' | '>', scope: Scope): string {
    const path = `/dev/fd/substitution-${++this.#substitutions}`
    if (operator === '<') scope.written.set(path, this.substitute(script, scope))
    else if (script) this.runScript(script, scope.clone(), UNKNOWN)
    return path
  }

  foundIn(look: (host: ShellHost) => void): Action[] {
    const found: Action[] = []
    const other = new Shell(this.places, (action) => found.push(action))
    other.#depth = this.#depth + 1
    if (other.#depth < MAX_DEPTH) look(other)
    return found
  }

  list(statements: readonly Statement[], scope: Scope, stdin: Stream): Stream {
    let output = NOTHING
    for (const { command } of statements) output = after(output, this.node(command, scope, stdin))
    return output
  }

  node(node: Statement['command'] | CommandNode, scope: Scope, stdin: Stream): Stream {
    this.#steps++
    if (this.#steps > MAX_STEPS) {
      if (this.#steps === MAX_STEPS + 1) this.unresolved('is too long to be followed to its end')
      return UNKNOWN
    }
    switch (node.type) {
      case 'Command':
        return this.#command(node, scope, stdin)
      case 'Pipeline':
        return this.#pipeline(node, scope, stdin)
      case 'AndOr':
        return andOr(this, node.commands, scope, stdin)
      case 'Redirected':
        return redirected(this, node.redirects, scope, stdin, (input, inner) => this.node(node.command, inner, input))
      case 'Subshell':
        return this.list(node.body.commands, scope.clone(), stdin)
      case 'BraceGroup':
        return this.list(node.body.commands, scope, stdin)
      case 'Function':
        scope.functions.set(node.name.value, [node])
        return NOTHING
      case 'Coproc':
        return node.body.type === 'CompoundList'
          ? this.list(node.body.commands, scope.clone(), UNKNOWN)
          : this.node(node.body, scope.clone(), UNKNOWN)
      default:
        return compound(this, node, scope, stdin)
    }
  }

  /** Substitutions anywhere below a node that has no meaning of its own here: tests and arithmetic. */
  nested(node: SyntaxNode, scope: Scope): void {
    forEachChild(node, (child) => {
      if (child.type === 'CommandExpansion' || child.type === 'ArithmeticCommandExpansion')
        this.substitute(child.script, scope)
      else if (child.type === 'ProcessSubstitution') this.processSubstitution(child.script, child.operator, scope)
      else if (child.type !== 'CompoundList') this.nested(child, scope)
    })
  }

  #pipeline(node: Pipeline, scope: Scope, stdin: Stream): Stream {
    if (node.commands.length === 1 && node.commands[0]) return this.node(node.commands[0], scope, stdin)
    let stream = stdin
    for (const command of node.commands) stream = this.node(command, scope.clone(), stream)
    return stream
  }

  #command(node: Command, scope: Scope, stdin: Stream): Stream {
    return redirected(this, node.redirects, scope, stdin, (input, inner) => {
      const assignments = node.prefix.flatMap((each) => (each.type === 'Assignment' ? [each] : []))
      if (!node.name) {
        assignVariables(this, assignments, inner)
        return NOTHING
      }
      const own = assignments.length > 0 ? inner.clone() : inner
      assignVariables(this, assignments, own, true)
      const alias =
        node.name.parts === undefined && node.name.text === node.name.value && own.aliases.get(node.name.value)
      const args = node.args.flatMap((arg) => this.#argument(arg, own))
      const output = alias
        ? this.#alias(alias, args, own, input)
        : this.invoke([...expandWord(node.name, own, this), ...args], own, input)
      if (own !== inner) inner.directories = own.directories
      return output
    })
  }

  #argument(arg: Command['args'][number], scope: Scope): Field[] {
    if (arg.type === 'Word') return expandWord(arg, scope, this)
    if (arg.value.type === 'Word')
      return [[`${arg.name}${arg.append ? '+' : ''}=`, ...expandText(arg.value, scope, this)]].map(merged)
    for (const element of arg.value.elements) expandWord(element, scope, this)
    return [[`${arg.name}=`, ...ANY]]
  }

  #alias(text: string, args: readonly Field[], scope: Scope, stdin: Stream): Stream {
    const inner = scope.clone()
    inner.aliases.clear()
    inner.positional = args
    return this.runText(args.length > 0 ? `${text} "$@"` : text, inner, stdin)
  }

  /** Runs a program, function or builtin with its arguments. */
  invoke(argv: readonly Field[], scope: Scope, stdin: Stream): Stream {
    const [head, ...args] = argv
    if (head === undefined) return NOTHING
    const name = textOf(head)
    if (name === undefined) return this.unresolved(`runs a program whose name is only known then: ${shown(head)}`)
    if (++this.#steps > MAX_STEPS) return this.unresolved('is too long to be followed to its end')
    this.onCommand(argv.map(shown))
    const functions = scope.functions.get(name)
    return functions
      ? this.#callFunction(name, functions, args, scope, stdin)
      : runProgram(this, name, args, scope, stdin)
  }

  #callFunction(
    name: string,
    functions: readonly { readonly body: SyntaxNode }[],
    args: readonly Field[],
    scope: Scope,
    stdin: Stream,
  ): Stream {
    if (scope.calls.includes(name)) {
      this.report('system.exhaust', `calls the function ${name} from inside itself without an end in sight`)
      return UNKNOWN
    }
    let output: Stream = NOTHING
    const { positional, calls } = scope
    for (const { body } of functions) {
      scope.positional = args
      scope.calls = [...calls, name]
      output =
        body.type === 'CompoundList'
          ? this.list(body.commands, scope, stdin)
          : this.node(body as CommandNode, scope, stdin)
    }
    scope.positional = positional
    scope.calls = calls
    return output
  }
}
