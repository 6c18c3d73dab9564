/**
 * What the charter decides, and how long people take.
 */
import { Gauge, type Registry } from 'prom-client'
import type { ApprovalOutcome } from '../protocol/approvals.js'
import { TallyCounter, TallyHistogram } from './tally.js'

export interface GovernanceMetrics {
  /** The charter has judged a tool call. */
  verdict(decision: 'allow' | 'deny' | 'ask'): void
  /** A person was waited for; `aborted` when the turn did not wait to the end. */
  approval(outcome: ApprovalOutcome | 'aborted', waitedSeconds: number): void
  watchApprovals(waiting: () => number): void
}

/** From somebody who sits there to somebody who comes back after lunch. */
const WAIT_BOUNDS_S = [1, 5, 15, 60, 300, 900, 3_600, 14_400]
const VERDICTS = ['allow', 'deny', 'ask'] as const
const OUTCOMES = ['approved', 'rejected', 'expired', 'cancelled', 'aborted'] as const

export function governanceMetrics(registry: Registry): GovernanceMetrics {
  const verdicts = new TallyCounter({
    name: 'orchestrator_charter_verdicts_total',
    help: 'Tool calls by what the charter said of them',
    registry,
  })
  const approvals = new TallyHistogram({
    name: 'orchestrator_approval_wait_seconds',
    help: 'How long people were waited for, by how it ended',
    bounds: WAIT_BOUNDS_S,
    registry,
  })
  let waiting: (() => number) | undefined
  new Gauge({
    name: 'orchestrator_approvals_waiting',
    help: 'Turns that wait for a person now',
    registers: [registry],
    collect() {
      this.set(waiting?.() ?? 0)
    },
  })
  const byDecision = new Map(VERDICTS.map((decision) => [decision, verdicts.child({ decision })]))
  const byOutcome = new Map(OUTCOMES.map((outcome) => [outcome, approvals.child({ outcome })]))
  return {
    verdict: (decision) => {
      const tally = byDecision.get(decision)
      if (tally) tally.count += 1
    },
    approval: (outcome, seconds) => byOutcome.get(outcome)?.observe(seconds),
    watchApprovals: (source) => {
      waiting = source
    },
  }
}
