/**
 * The gate of a charter: what a tool call does, and what the charter says of it. The strictest word counts.
 */
import { posix } from 'node:path'
import type { Action, Ruling } from './actions.js'
import { HOME, isWithin } from './places.js'
import { fits, fitsCommand, isStricter, type Judged, type Rule, type Rules, rulesOf, rulingOn } from './rules.js'
import type { Charter } from './schema.js'
import { type Doings, doingsOf, type ToolUse } from './tool-actions.js'

// The shapes of `runtimes/gate.ts`: parts of the domain do not know each other, the composition root fits them together.
export type Verdict =
  | { readonly decision: 'allow' }
  | { readonly decision: 'deny'; readonly reason: string; readonly rule: string }
  | { readonly decision: 'ask'; readonly reason: string; readonly rule: string; readonly level: 'confirm' | 'escalate' }

export interface CharterGateOptions {
  readonly charter: Charter
  /** Paths of the service: workspaces of all sessions, its data. A session's own workspace may lie in there. */
  readonly foreign?: readonly string[]
}

/** What was decided about one call, and about what. */
interface Finding extends Judged {
  readonly action: Action
}

export class CharterGate {
  #rules: Rules
  #foreign: readonly string[]

  constructor({ charter, foreign = [] }: CharterGateOptions) {
    this.#rules = rulesOf(charter)
    this.#foreign = foreign
  }

  /** From now on this charter counts, and these paths are the service's; what was decided before stands. */
  adopt(charter: Charter, foreign = this.#foreign): void {
    this.#rules = rulesOf(charter)
    this.#foreign = foreign
  }

  judge(use: ToolUse): Verdict {
    const doings = doingsOf(use, this.#foreign)
    const others = this.#matching(use, doings)
    const findings = doings.actions.map(
      (action): Finding => ({ action, ...rulingOn(action.class, this.#rules, others) }),
    )
    const strictest = findings.reduce<Finding | undefined>(
      (worst, each) => (worst && !isStricter(each.ruling, worst.ruling) ? worst : each),
      rulingAlone(others),
    )
    return strictest ? verdictOf(strictest) : { decision: 'allow' }
  }

  /** Rules that name a tool, a path or a command, and fit this call. */
  #matching(use: ToolUse, doings: Doings): Rule[] {
    return this.#rules.rules.filter((rule) => {
      const { match } = rule
      if (match.kind === 'tool') return fits(match.pattern, use.tool)
      if (match.kind === 'path') return touchesPath(match.path, use.workspace, doings, rule.ruling)
      if (match.kind !== 'command') return false
      const { words } = match
      // Approval is for the whole line, everything else for any part of it.
      return rule.ruling === 'allow'
        ? doings.commands.length > 0 && doings.commands.every((argv) => fitsCommand(words, argv))
        : doings.commands.some((argv) => fitsCommand(words, argv))
    })
  }
}

/** A rule that fits a call of which no action is known still counts. */
function rulingAlone(rules: readonly Rule[]): Finding | undefined {
  const [first] = rules.filter(({ ruling }) => ruling !== 'allow')
  return (
    first && {
      action: { class: 'tool.use', what: 'is what this rule is about' },
      ruling: first.ruling,
      rule: `${first.list}: ${first.entry}`,
    }
  )
}

function touchesPath(path: string, workspace: string, { paths, commands }: Doings, ruling: Ruling): boolean {
  const absolute = absoluteOf(path, workspace)
  const words =
    ruling === 'allow' ? [] : commands.flatMap(([, ...args]) => args.map((arg) => absoluteOf(arg, workspace)))
  return [...paths, ...words].some((each) => isWithin(absolute, each))
}

function absoluteOf(path: string, workspace: string): string {
  const expanded = path.startsWith('~/') ? HOME + path.slice(1) : path
  return posix.resolve('/', workspace, expanded)
}

function verdictOf({ ruling, rule, action }: Finding): Verdict {
  if (ruling === 'allow') return { decision: 'allow' }
  if (ruling === 'deny') {
    const reason = `The charter forbids this call: it ${action.what} (${rule}). Do not try it another way; say what you need instead.`
    return { decision: 'deny', reason, rule }
  }
  const who = ruling === 'escalate' ? 'an administrator' : 'a person'
  return {
    decision: 'ask',
    reason: `The charter wants ${who} to approve this call: it ${action.what} (${rule}).`,
    rule,
    level: ruling,
  }
}
