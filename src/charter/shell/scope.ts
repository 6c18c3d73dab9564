/**
 * What a shell remembers between two commands: variables, its directory, functions, aliases, files it has written. Where
 * ways join that the shell may have gone, only what all of them agree on stays known.
 */
import type { Function as FunctionNode } from 'unbash'
import type { Field } from './field.js'
import type { Stream } from './stream.js'

/** Directories that the shell may be in after branches; more are not followed. */
const MAX_DIRECTORIES = 8

export interface Variable {
  /** The value, or all elements of an array. */
  readonly fields: readonly Field[]
  readonly isArray: boolean
}

export class Scope {
  readonly variables = new Map<string, Variable | 'unknown'>()
  readonly functions = new Map<string, readonly FunctionNode[]>()
  readonly aliases = new Map<string, string>()
  positional: readonly Field[] | undefined
  /** Where it may be; undefined when it may be anywhere. */
  directories: readonly string[] | undefined
  /** Functions that are being run, to see recursion. */
  calls: readonly string[] = []

  /** `written` is what files of this line hold, by absolute path: subshells and branches share the disk. */
  constructor(
    directories: readonly string[] | undefined,
    readonly written = new Map<string, Stream>(),
  ) {
    this.directories = directories
  }

  /** For a subshell, a branch or a function. */
  clone(): Scope {
    const copy = new Scope(this.directories, this.written)
    for (const [name, value] of this.variables) copy.variables.set(name, value)
    for (const [name, value] of this.functions) copy.functions.set(name, value)
    for (const [name, value] of this.aliases) copy.aliases.set(name, value)
    copy.positional = this.positional
    copy.calls = this.calls
    return copy
  }

  assign(name: string, field: Field): void {
    this.variables.set(name, { fields: [field], isArray: false })
  }

  /** Becomes what is certain after one of `ways`. */
  become(ways: readonly Scope[]): void {
    const [first, ...others] = ways
    if (!first) return
    const joinedScope = others.reduce((left, right) => join(left, right), first.clone())
    this.#take(joinedScope)
  }

  /** Whether `other` knows the same of variables and directories. */
  equals(other: Scope): boolean {
    return fingerprint(this) === fingerprint(other)
  }

  #take(other: Scope): void {
    replace(this.variables, other.variables)
    replace(this.functions, other.functions)
    replace(this.aliases, other.aliases)
    this.directories = other.directories
    this.positional = other.positional
  }
}

function replace<Value>(target: Map<string, Value>, source: ReadonlyMap<string, Value>): void {
  target.clear()
  for (const [name, value] of source) target.set(name, value)
}

function join(left: Scope, right: Scope): Scope {
  const result = left.clone()
  for (const name of new Set([...left.variables.keys(), ...right.variables.keys()])) {
    const same = JSON.stringify(left.variables.get(name)) === JSON.stringify(right.variables.get(name))
    if (!same) result.variables.set(name, 'unknown')
  }
  for (const [name, nodes] of right.functions) {
    result.functions.set(name, [...new Set([...(left.functions.get(name) ?? []), ...nodes])])
  }
  for (const [name, text] of right.aliases) result.aliases.set(name, text)
  if (JSON.stringify(left.positional) !== JSON.stringify(right.positional)) result.positional = undefined
  const directories = new Set([...(left.directories ?? []), ...(right.directories ?? [])])
  const known = left.directories && right.directories && directories.size <= MAX_DIRECTORIES
  result.directories = known ? [...directories] : undefined
  return result
}

const fingerprint = ({ variables, directories }: Scope): string => JSON.stringify([[...variables], directories])
