/**
 * G8: a tool that may run once runs at most once for each call, and never before its intent was recorded.
 */
import type { EffectLine } from '../journal.js'
import { type Findings, timeText } from './findings.js'
import { callKey, type StepFacts } from './turn-rules.js'

export interface EffectContext {
  readonly findings: Findings
  readonly facts: StepFacts
  /** A log that may have lost an intent proves nothing by not holding it. */
  readonly losesWrites: boolean
  readonly began: number
}

export class Effects {
  /** `once` effects by call: the first line of each. */
  readonly #once = new Map<string, EffectLine>()

  constructor(private readonly context: EffectContext) {}

  take(line: EffectLine): void {
    if (line.class !== 'once') return
    const { findings, facts, losesWrites } = this.context
    const key = callKey(line.command, line.call)
    const first = this.#once.get(key)
    findings.checked('G8')
    if (first) this.#broken(`call ${line.call} of ${line.command} took effect twice`, [first, line])
    else this.#once.set(key, line)
    if (!losesWrites && !facts.intents.has(key)) {
      this.#broken(`call ${line.call} of ${line.command} took effect and no log holds its intent`, [line])
    }
  }

  #broken(what: string, lines: readonly EffectLine[]): void {
    const { findings, began } = this.context
    findings.violated('G8', what, () =>
      lines.map((line) => `effect  at ${timeText(line.at, began)} ${JSON.stringify(line)}`),
    )
  }
}
