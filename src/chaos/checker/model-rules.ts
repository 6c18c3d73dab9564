/**
 * G7: a step's model is called once, and once more for each crash of whoever called it, and for each answer that the
 * provider itself cut.
 */
import type { FaultKind, FaultLine, ModelLine } from '../journal.js'
import { type Findings, timeText } from './findings.js'
import { type StepFacts, stepKey } from './turn-rules.js'

interface StepCalls {
  readonly command: string
  readonly step: number
  calls: number
  cut: number
  firstBegan: number
  lastBegan: number
}

/** Faults after which a worker may give up and take up a session of its own, which the log does not call a takeover. */
const SHAKES_WRITERS: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'redis-kill',
  'redis-failover',
  'partition',
  'store-failpoint',
  'postgres-outage',
])
/** A writer gives up after 15 s, and its session is loaded anew. */
const GIVE_UP_MS = 20_000

export class ModelCalls {
  readonly #steps = new Map<string, StepCalls>()

  take({ command, step, began, outcome }: ModelLine): void {
    const key = stepKey(command, step)
    const known = this.#steps.get(key)
    const calls = known ?? { command, step, calls: 0, cut: 0, firstBegan: began, lastBegan: began }
    if (!known) this.#steps.set(key, calls)
    calls.calls += 1
    if (outcome === 'cut') calls.cut += 1
    calls.firstBegan = Math.min(calls.firstBegan, began)
    calls.lastBegan = Math.max(calls.lastBegan, began)
  }

  check(facts: StepFacts, faults: readonly FaultLine[], findings: Findings, began: number): void {
    for (const [key, calls] of this.#steps) {
      findings.checked('G7')
      const repeats = calls.calls - 1 - calls.cut
      if (repeats <= 0) continue
      const crashes = crashesOf(calls, facts.takeovers.get(key) ?? 0, faults)
      if (repeats > crashes) tooMany(calls, crashes, findings, began)
    }
  }
}

/** Takeovers stand in the log; where that may have lost some, each fault of the time counts. */
function crashesOf(calls: StepCalls, takeovers: number, faults: readonly FaultLine[]): number {
  const touching = faults.filter((fault) => touches(fault, calls))
  if (touching.some(({ losesWrites }) => losesWrites)) return touching.length
  return takeovers + touching.filter(({ fault }) => SHAKES_WRITERS.has(fault)).length
}

const touches = ({ began, healed }: FaultLine, { firstBegan, lastBegan }: StepCalls): boolean =>
  began <= lastBegan && healed + GIVE_UP_MS >= firstBegan

function tooMany(
  { command, step, calls, cut, firstBegan, lastBegan }: StepCalls,
  crashes: number,
  findings: Findings,
  began: number,
) {
  const what = `the model was asked ${calls} times for step ${step} of ${command}; ${cut} answers were cut, ${crashes} owners lost`
  findings.violated('G7', what, () => [
    `model  ${command} step ${step}: first at ${timeText(firstBegan, began)}, last at ${timeText(lastBegan, began)}`,
  ])
}
