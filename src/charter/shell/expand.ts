/**
 * Expands a word as the shell would: quotes, variables, command substitutions, braces, tilde, white space, patterns. What
 * it cannot know becomes a hole.
 */
import type { ParameterExpansionPart, Word, WordPart } from 'unbash'
import { HOME } from '../places.js'
import { ANY, type Field, joined, NAME, splitWords, textOf, withGlobs } from './field.js'
import type { ShellHost } from './host.js'
import type { Scope } from './scope.js'
import { substituted } from './stream.js'

/** Words that one word with braces may become; more are not followed. */
const MAX_BRACES = 256

/** A piece of a word with whether quotes protect it from splitting and patterns. */
interface Fragment {
  readonly field: Field
  readonly quoted: boolean
  /** `"$@"` and arrays: words of their own. */
  readonly list?: readonly Field[]
}

/** The words that a word becomes. */
export function expandWord(word: Word, scope: Scope, host: ShellHost): Field[] {
  const alternatives = braceAlternatives(word)
  if (alternatives === undefined) return [ANY]
  return alternatives.flatMap((parts) => expandParts(word, parts, scope, host))
}

/** A word where the shell neither splits nor matches: assignments, redirections, `case`. */
export function expandText(word: Word | undefined, scope: Scope, host: ShellHost): Field {
  if (word === undefined) return []
  const fragments = fragmentsOf(word, partsOf(word), scope, host)
  return joined(...fragments.map(({ field, list }) => (list ? joinedBy(list) : field)))
}

/** Parts of a here-document or an arithmetic expression. */
export function expandLoose(parts: readonly WordPart[], scope: Scope, host: ShellHost): Field {
  return joined(...parts.map((part) => fragmentOf(part, true, scope, host).field))
}

const joinedBy = (list: readonly Field[]): Field =>
  joined(...list.map((field, index) => (index === 0 ? field : joined([' '], field))))

function expandParts(word: Word, parts: readonly WordPart[], scope: Scope, host: ShellHost): Field[] {
  const words: Field[] = []
  let current: Field | undefined
  const push = (field: Field) => {
    current = joined(current ?? [], field)
  }
  const cut = () => {
    if (current) words.push(current)
    current = undefined
  }
  for (const { field, quoted, list } of fragmentsOf(word, parts, scope, host)) {
    if (list) {
      list.forEach((element, index) => {
        if (index > 0) cut()
        push(element)
      })
    } else if (quoted || scope.variables.has('IFS')) {
      // With another IFS nobody knows where words end.
      push(quoted || textOf(field) === undefined ? field : ANY)
    } else {
      const split = splitWords(field)
      if (/^\s/.test(startOf(field))) cut()
      split.forEach((part, index) => {
        if (index > 0) cut()
        push(withGlobs(part))
      })
      if (/\s$/.test(endOf(field))) cut()
    }
  }
  cut()
  return words
}

const startOf = (field: Field): string => (typeof field[0] === 'string' ? field[0] : '')
const endOf = (field: Field): string => {
  const last = field.at(-1)
  return typeof last === 'string' ? last : ''
}

const partsOf = (word: Word): readonly WordPart[] =>
  word.parts ?? [{ type: 'Literal', pos: word.pos, end: word.end, value: word.value, text: word.text }]

function fragmentsOf(word: Word, parts: readonly WordPart[], scope: Scope, host: ShellHost): Fragment[] {
  return parts.map((part, index) => {
    const isTilde = index === 0 && part.type === 'Literal' && part.text.startsWith('~') && word.text.startsWith('~')
    return isTilde ? tilde(part.value) : fragmentOf(part, false, scope, host)
  })
}

function tilde(value: string): Fragment {
  const [user = '', ...rest] = value.split('/')
  const home = user === '~' ? HOME : user === '~root' ? '/root' : undefined
  const below = rest.length > 0 ? `/${rest.join('/')}` : ''
  return { field: home === undefined ? ANY : joined([home + below]), quoted: true }
}

function fragmentOf(part: WordPart, inQuotes: boolean, scope: Scope, host: ShellHost): Fragment {
  switch (part.type) {
    case 'Literal':
    case 'SingleQuoted':
    case 'AnsiCQuoted':
      return { field: joined([part.value]), quoted: true }
    case 'DoubleQuoted':
    case 'LocaleString':
      return quotedFragment(part.parts, scope, host)
    case 'Glob':
      return { field: [{ hole: 'glob' }], quoted: true }
    case 'ExtendedGlob':
      return { field: ANY, quoted: true }
    case 'SimpleExpansion':
      return parameterFragment(part.text.slice(1), inQuotes, scope)
    case 'ParameterExpansion':
      return expansionFragment(part, inQuotes, scope, host)
    case 'CommandExpansion':
      return { field: substituted(host.substitute(part.script, scope)), quoted: inQuotes }
    case 'ArithmeticExpansion':
      host.nested(part, scope)
      return { field: NAME, quoted: true }
    case 'ProcessSubstitution':
      return { field: [host.processSubstitution(part.script, part.operator, scope)], quoted: true }
    case 'BraceExpansion':
      return { field: ANY, quoted: true }
  }
}

function quotedFragment(parts: readonly WordPart[], scope: Scope, host: ShellHost): Fragment {
  const fragments = parts.map((part) => fragmentOf(part, true, scope, host))
  const [only] = fragments
  if (fragments.length === 1 && only?.list) return only
  return { field: joined(...fragments.map(({ field, list }) => (list ? joinedBy(list) : field))), quoted: true }
}

function parameterFragment(name: string, quoted: boolean, scope: Scope): Fragment {
  if (name === '@' || name === '*') {
    const list = scope.positional
    if (list === undefined) return { field: ANY, quoted }
    return name === '@' && quoted ? { field: joinedBy(list), quoted, list } : { field: joinedBy(list), quoted }
  }
  return { field: parameterOf(name, scope) ?? ANY, quoted }
}

/** The value of a variable; undefined when it may be anything, or not set. */
function parameterOf(name: string, scope: Scope): Field | undefined {
  const known = scope.variables.get(name)
  if (known === 'unknown') return undefined
  if (known) return known.fields[0] ?? []
  if (/^[1-9]\d*$/.test(name)) return scope.positional && (scope.positional[Number(name) - 1] ?? [])
  if (['?', '$', '!', '#', 'RANDOM', 'SECONDS', 'LINENO', 'UID', 'EUID', 'USER', 'HOSTNAME'].includes(name)) return NAME
  if (name === 'HOME') return [HOME]
  if (name === 'TMPDIR') return ['/tmp']
  if (name === 'IFS') return [' \t\n']
  if (name === 'PWD' && scope.directories?.length === 1) return [scope.directories[0] ?? '']
  return undefined
}

function expansionFragment(part: ParameterExpansionPart, quoted: boolean, scope: Scope, host: ShellHost): Fragment {
  const { parameter, prefix, index, operation } = part
  const known = scope.variables.get(parameter)
  if (prefix === '#') return { field: NAME, quoted }
  if (prefix === '!') return { field: ANY, quoted }
  if (index) return elementFragment(known, index, operation !== undefined, quoted)
  if (!operation) return parameterFragment(parameter, quoted, scope)
  const value = parameterOf(parameter, scope)
  // Only the shell reads right what nests in there.
  if (operation.type !== 'Default' && /\$\(|`/.test(part.text)) host.unresolved(`runs a command inside of ${part.text}`)
  // Substitutions inside are looked at even where the result is not used.
  const operand = 'operand' in operation && operation.operand ? expandText(operation.operand, scope, host) : undefined
  if (operation.type === 'Replace') {
    expandText(operation.pattern, scope, host)
    expandText(operation.replacement, scope, host)
  }
  if (operation.type !== 'Default') return { field: value && isName(value) ? NAME : ANY, quoted }
  return { field: defaulted(operation.operator, known !== undefined, value, operand ?? []) ?? ANY, quoted }
}

// Without a slash in it, no piece of a name is more than a name.
const isName = (value: Field): boolean =>
  value.length === 1 && typeof value[0] !== 'string' && value[0]?.hole === 'name'

function defaulted(operator: string, isSet: boolean, value: Field | undefined, operand: Field): Field | undefined {
  const kind = operator.replace(':', '')
  if (kind === '+') return isSet && operand.length > 0 ? operand : undefined
  if (value !== undefined && (value.length > 0 || !operator.startsWith(':'))) return value
  if (isSet && value === undefined) return undefined
  // Not set here: it may be set in the environment, but the tools' environment is ours and holds nothing of the kind.
  return kind === '?' ? undefined : operand
}

function elementFragment(
  known: ReturnType<Scope['variables']['get']>,
  index: Word,
  changed: boolean,
  quoted: boolean,
): Fragment {
  if (!known || known === 'unknown' || changed) return { field: ANY, quoted }
  if (index.value === '@' || index.value === '*') {
    return { field: joinedBy(known.fields), quoted, ...(quoted && index.value === '@' && { list: known.fields }) }
  }
  const position = /^\d+$/.test(index.value) ? Number(index.value) : undefined
  return { field: position === undefined ? ANY : (known.fields[position] ?? []), quoted }
}

/** Each way to choose from the braces of a word; undefined when there are too many, or nobody can say. */
function braceAlternatives(word: Word): (readonly WordPart[])[] | undefined {
  let ways: WordPart[][] = [[]]
  for (const part of partsOf(word)) {
    if (part.type !== 'BraceExpansion') {
      ways = ways.map((way) => [...way, part])
      continue
    }
    const choices = bracesOf(part.text)
    if (choices === undefined || choices.length * ways.length > MAX_BRACES) return undefined
    ways = ways.flatMap((way) =>
      choices.map((text): WordPart[] => [...way, { type: 'Literal', pos: part.pos, end: part.end, value: text, text }]),
    )
  }
  return ways
}

function bracesOf(text: string): string[] | undefined {
  const inner = text.slice(1, -1)
  const range = /^(-?\d+)\.\.(-?\d+)$/.exec(inner)
  if (range) return numbers(Number(range[1]), Number(range[2]))
  // Quotes, nested braces and expansions inside braces are rare, and only the shell reads them right.
  if (/[{}'"\\$`*?[]/.test(inner) || !inner.includes(',')) return undefined
  return inner.split(',')
}

function numbers(from: number, to: number): string[] | undefined {
  if (Math.abs(to - from) >= MAX_BRACES) return undefined
  const step = from <= to ? 1 : -1
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => String(from + index * step))
}
