/**
 * What one process can say of itself without a history of figures: the alerts of deploy/monitoring/rules.yml that ask a
 * gauge, under the same names, with the same bounds and patience. Those that ask for rates, or for all nodes together, need
 * Prometheus.
 */
export type Severity = 'info' | 'warning' | 'critical'

export interface AlertRule {
  readonly name: string
  readonly severity: Severity
  /** A gauge; each of its series is judged for itself. */
  readonly family: string
  /** Only series with these labels. */
  readonly labels?: Readonly<Record<string, string>>
  /** A gauge with the same labels, of which the first one is a share. */
  readonly of?: string
  readonly when: 'above' | 'below'
  readonly bound: number
  /** For so long it must be true. */
  readonly forMs: number
  /** What is wrong, in one sentence; the labels say with what. */
  readonly summary: string
}

const S = 1_000
const MIN = 60 * S
const HOUR = 60 * MIN

const above = (bound: number) => ({ when: 'above', bound }) as const
const below = (bound: number) => ({ when: 'below', bound }) as const

export const ALERT_RULES: readonly AlertRule[] = [
  {
    ...{ name: 'OrchestratorPartDown', severity: 'warning', family: 'orchestrator_part_up' },
    // It is 0 or 1.
    ...{ ...below(0.5), forMs: 2 * MIN, summary: 'This node does not reach a part that it stands on' },
  },
  {
    ...{ name: 'OrchestratorDiskFull', severity: 'critical', family: 'orchestrator_disk_free_bytes' },
    ...{ of: 'orchestrator_disk_size_bytes', ...below(0.1), forMs: 5 * MIN, summary: 'A disk is nearly full' },
  },
  {
    ...{ name: 'OrchestratorProjectionBehind', severity: 'warning', family: 'orchestrator_unprojected_events' },
    ...{ ...above(100_000), forMs: 2 * MIN, summary: 'Events of this node are not in PostgreSQL yet' },
  },
  {
    ...{ name: 'OrchestratorCommandsWait', severity: 'warning', family: 'wundr_queue_depth' },
    labels: { queue_name: 'commands' },
    ...{ ...above(5_000), forMs: MIN, summary: 'No worker has accepted commands of this edge' },
  },
  {
    ...{ name: 'OrchestratorSlotsFull', severity: 'warning', family: 'orchestrator_node_load' },
    ...{ ...above(0.9), forMs: 10 * MIN, summary: 'This worker has nearly all the sessions that it may have' },
  },
  {
    ...{ name: 'OrchestratorApprovalsWait', severity: 'info', family: 'orchestrator_approvals_waiting' },
    ...{ ...above(0), forMs: HOUR, summary: 'Turns have waited for a person for an hour' },
  },
  {
    ...{ name: 'OrchestratorBudgetNearlyUsed', severity: 'info', family: 'orchestrator_budget_utilization_percent' },
    ...{ ...above(90), forMs: 5 * MIN, summary: 'A budget is nearly used up' },
  },
  {
    ...{ name: 'OrchestratorShardsStranded', severity: 'critical', family: 'orchestrator_shards_stranded' },
    ...{ ...above(0), forMs: 30 * S, summary: 'Shards have no worker that may take them' },
  },
  {
    ...{ name: 'OrchestratorReassignmentFrozen', severity: 'warning', family: 'orchestrator_reassignment_frozen' },
    ...{ ...above(0.5), forMs: 30 * S, summary: 'This leader moves nothing' },
  },
]
