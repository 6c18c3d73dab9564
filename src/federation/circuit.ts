/**
 * Whether an orchestrator gets work, judged by how its last attempts ended: a pure function of them, so that every node of the
 * cluster comes to the same answer and nothing has to be kept in step.
 *
 *   closed ──half of its attempts fail──▶ open ──30 s──▶ half-open ──three succeed──▶ closed
 *                                          ▲──────one fails──────┘
 */
import type { CircuitState, Outcome } from '../protocol/federation.js'

/** Attempts that are older say nothing of now. */
const WINDOW_MS = 300_000
/** One slip, or two, may be the task's. */
const MIN_FAILURES = 3
const FAILING_SHARE = 0.5
/** How long a failing orchestrator is left alone. */
const OPEN_MS = 30_000
/** Attempts under way at one time, and then in a row to succeed, before it counts as sound again. */
export const TRIALS = 3

/** `outcomes` in any order. */
export function circuitOf(outcomes: readonly Outcome[]): CircuitState {
  const oldestFirst = outcomes.filter(isRecent).sort((a, b) => b.ageMs - a.ageMs)
  let since: Outcome[] = []
  let trippedMs: number | undefined
  let trials = 0
  for (const outcome of oldestFirst) {
    if (trippedMs === undefined) {
      since.push(outcome)
      if (isFailing(since)) trippedMs = outcome.ageMs
    } else if (outcome.failed) trippedMs = outcome.ageMs
    trials = trippedMs === undefined || outcome.failed ? 0 : trials + 1
    if (trials < TRIALS) continue
    trippedMs = undefined
    trials = 0
    since = []
  }
  if (trippedMs === undefined) return 'closed'
  return trippedMs < OPEN_MS ? 'open' : 'half-open'
}

/** Share of the last attempts that failed; 0 without any. */
export function errorRateOf(outcomes: readonly Outcome[]): number {
  const recent = outcomes.filter(isRecent)
  return recent.length === 0 ? 0 : recent.filter(({ failed }) => failed).length / recent.length
}

const isRecent = ({ ageMs }: Outcome): boolean => ageMs < WINDOW_MS

function isFailing(outcomes: readonly Outcome[]): boolean {
  const failures = outcomes.filter(({ failed }) => failed).length
  return failures >= MIN_FAILURES && failures / outcomes.length >= FAILING_SHARE
}
