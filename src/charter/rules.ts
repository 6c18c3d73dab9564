/**
 * A charter's lists as rules: each entry means classes of actions, a program with arguments, a path, or a tool. An entry
 * that means none of them is kept and said aloud when the charter is loaded, because it protects nobody.
 */
import { posix } from 'node:path'
import { ACTIONS, type ActionClass, classesOf, keptElsewhere, NEVER_AUTO, type Ruling } from './actions.js'
import type { Charter } from './schema.js'
import { isKnownProgram } from './shell/programs.js'

export interface Rule {
  /** The entry as it stands in the charter. */
  readonly entry: string
  readonly list: RuleList
  readonly ruling: Ruling
  readonly match: Match
}

export type RuleList = 'alwaysReject' | 'hardConstraints' | 'escalate' | 'requireConfirmation' | 'autoApprove'

export type Match =
  | { readonly kind: 'classes'; readonly classes: readonly ActionClass[] }
  | { readonly kind: 'command'; readonly words: readonly string[] }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'tool'; readonly pattern: string }

export interface Rules {
  /** Strictest list first. */
  readonly rules: readonly Rule[]
  /** Entries that match nothing, each with its list. */
  readonly unknown: readonly { readonly list: RuleList; readonly entry: string }[]
}

const RULINGS: Readonly<Record<RuleList, Ruling>> = {
  alwaysReject: 'deny',
  hardConstraints: 'deny',
  escalate: 'escalate',
  requireConfirmation: 'confirm',
  autoApprove: 'allow',
}
const LISTS = Object.keys(RULINGS) as readonly RuleList[]
const STRICTNESS: Readonly<Record<Ruling, number>> = { allow: 0, confirm: 1, escalate: 2, deny: 3 }

/** Tools by name, where no prefix says so. */
const TOOL_NAMES =
  /^(mcp__[\w*-]+|file_(read|write|list|delete)|bash_execute|web_fetch|Bash|Read|Write|Edit|MultiEdit|Glob|Grep|WebFetch|WebSearch|NotebookEdit|Task)$/

export function rulesOf(charter: Charter): Rules {
  const rules: Rule[] = []
  const unknown: Rules['unknown'][number][] = []
  for (const list of LISTS) {
    for (const entry of entriesOf(charter, list)) {
      const match = matchOf(entry)
      if (match) rules.push({ entry, list, ruling: RULINGS[list], match })
      else if (keptElsewhere(entry) === undefined) unknown.push({ list, entry })
    }
  }
  return { rules, unknown }
}

const entriesOf = (charter: Charter, list: RuleList): readonly string[] =>
  list === 'hardConstraints' ? charter.hardConstraints : charter.safetyHeuristics[list]

/** What an entry means; undefined when it means nothing here. */
function matchOf(entry: string): Match | undefined {
  const text = entry.trim()
  const declared = /^(action|command|path|tool):\s*(.+)$/s.exec(text)
  if (declared) return declaredMatch(declared[1] ?? '', declared[2] ?? '')
  const classes = classesOf(text)
  if (classes.length > 0) return { kind: 'classes', classes }
  if (TOOL_NAMES.test(text)) return { kind: 'tool', pattern: text }
  if (/^(~|\.{0,2}\/)\S*$/.test(text) || /^\.[\w.-]+$/.test(text)) return { kind: 'path', path: text }
  const words = text.split(/\s+/)
  return words.length > 1 && isKnownProgram(words[0] ?? '') ? { kind: 'command', words } : undefined
}

function declaredMatch(kind: string, value: string): Match | undefined {
  if (kind === 'path') return { kind, path: value }
  if (kind === 'tool') return { kind, pattern: value }
  if (kind === 'command') return { kind, words: value.split(/\s+/) }
  const classes = classesOf(value)
  return classes.length > 0 ? { kind: 'classes', classes } : undefined
}

export interface Judged {
  readonly ruling: Ruling
  /** What decided: an entry of the charter, or the class itself. */
  readonly rule: string
}

/** What the charter says of an action. `others` are the rules that matched by command, path or tool. */
export function rulingOn(name: ActionClass, { rules }: Rules, others: readonly Rule[]): Judged {
  const ofClass = rules.filter(({ match }) => match.kind === 'classes' && match.classes.includes(name))
  const applying = [...others, ...ofClass]
  const byDefault: Judged = { ruling: ACTIONS[name].byDefault, rule: name }
  const strictest = applying
    .filter(({ ruling }) => ruling !== 'allow')
    .map(({ ruling, list, entry }): Judged => ({ ruling, rule: `${list}: ${entry}` }))
    .concat(byDefault)
    .reduce((left, right) => (STRICTNESS[right.ruling] > STRICTNESS[left.ruling] ? right : left))
  if (strictest !== byDefault || byDefault.ruling === 'deny' || NEVER_AUTO.has(name)) return strictest
  const approved = applying.find(({ ruling }) => ruling === 'allow')
  return approved ? { ruling: 'allow', rule: `autoApprove: ${approved.entry}` } : byDefault
}

export const isStricter = (left: Ruling, right: Ruling): boolean => STRICTNESS[left] > STRICTNESS[right]

/** Whether a word fits one of a rule, where `*` stands for anything. */
export function fits(pattern: string, text: string): boolean {
  const source = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${source.join('[\\s\\S]*')}$`).test(text)
}

/** Whether a program with these arguments is what the words of a rule describe: its options are there, its operands in order. */
export function fitsCommand(words: readonly string[], argv: readonly string[]): boolean {
  const [program = '', ...wanted] = words
  const [name = '', ...given] = argv
  if (!fits(program, posix.basename(name))) return false
  const options = given.filter(isOption)
  const operands = given.filter((word) => !isOption(word))
  let next = 0
  return wanted.every((word) => {
    if (isOption(word))
      return lettersOf(word).every((each) => options.some((option) => lettersOf(option).includes(each)))
    const at = operands.findIndex((operand, index) => index >= next && fits(word, operand))
    next = at + 1
    return at >= 0 || word === '*'
  })
}

const isOption = (word: string): boolean => word.startsWith('-') && word.length > 1
const lettersOf = (option: string): string[] => (option.startsWith('--') ? [option] : [...option.slice(1)])
