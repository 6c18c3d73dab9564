/**
 * The tables as Kysely sees them; `migrations/` makes them. `int8` and `numeric` are numbers, `timestamptz` is a Date.
 * JSON goes in as text; read it with `column::text` where the exact bytes matter.
 */
import type { ColumnType, Generated } from 'kysely'
import type { SessionStatus } from '../protocol/session.js'

type JsonText = ColumnType<unknown, string, string>
type NullableJsonText = ColumnType<unknown, string | null | undefined, string | null>
type Timestamp = ColumnType<Date, Date | string, Date | string>
type FilledTimestamp = ColumnType<Date, Date | string | undefined, Date | string>
type NullableTimestamp = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>

export type NodeStatus = 'live' | 'draining' | 'left' | 'dead'
export type NodeRole = 'edge' | 'worker' | 'coordinator' | 'all'
export type AssignmentState = 'assigned' | 'releasing' | 'released'

export interface Schema {
  schema_migrations: { version: number; name: string; checksum: string; applied_at: FilledTimestamp }
  cluster_config: { singleton: Generated<boolean>; shards: number; lanes: number; layout: number }
  leader: { singleton: Generated<boolean>; term: number; holder: string; expires_at: Timestamp }
  nodes: NodesTable
  shard_assignments: ShardAssignmentsTable
  shard_projection: { shard: number; epoch: number; pos: Generated<number> }
  cluster_requests: ClusterRequestsTable
  usage_hourly: UsageHourlyTable
  sessions: SessionsTable
  events: { session_id: string; epoch: number; seq: number; type: string; body: JsonText; at: Timestamp }
  tasks: TasksTable
  steps: StepsTable
  tool_intents: ToolIntentsTable
  scheduled_tasks: ScheduledTasksTable
  task_dependencies: TaskDependenciesTable
  unbegun_task_ends: { session_id: string; task_id: string; status: 'failed' | 'cancelled'; at: Timestamp }
  dead_letters: DeadLettersTable
  audit_log: AuditLogTable
  audit_heads: { tenant: string; seq: Generated<number>; hash: Generated<string> }
  transcripts: { session_id: string; epoch: number; entries: Generated<number>; bytes: Generated<number> }
  transcript_entries: { session_id: string; seq: number; path: string; uuid: string | null; body: string }
  swarms: { session_id: string; epoch: number; body: string }
  workspace_blobs: { hash: string; bytes: Buffer; size: number }
  workspace_files: { session_id: string; path: string; hash: string; mode: number; changed_at: FilledTimestamp }
  budget_ledger: BudgetLedgerTable
  budget_overrides: BudgetOverridesTable
  memory_items: MemoryItemsTable
  memory_sources: { item_id: string; session_id: string; ref: string; epoch: number | null; seq: number | null }
  federation_orchestrators: FederationOrchestratorsTable
  federation_delegations: FederationDelegationsTable
  federation_context: FederationContextTable
  federation_inbox: FederationInboxTable
}

interface AuditLogTable {
  id: Generated<number>
  at: FilledTimestamp
  tenant: string
  actor: string
  action: string
  session_id: string | null
  subject: string
  detail: JsonText
  /** Filled by the database, as is the hash. */
  seq: Generated<number>
  hash: Generated<string>
}

interface NodesTable {
  id: string
  name: string
  role: NodeRole
  version: string
  capacity: number
  status: Generated<NodeStatus>
  started_at: FilledTimestamp
  ended_at: NullableTimestamp
}

interface ShardAssignmentsTable {
  shard: number
  owner: string | null
  epoch: Generated<number>
  state: Generated<AssignmentState>
  previous_owner: string | null
  changed_at: FilledTimestamp
}

interface UsageHourlyTable {
  hour: Timestamp
  tenant: string
  orchestrator_id: string
  session_type: string
  model: string
  turns: number
  calls: number
  tokens: number
  cost: number
}

interface ClusterRequestsTable {
  id: Generated<number>
  kind: 'move' | 'rebalance'
  shard: number | null
  target: string | null
  state: Generated<'waiting' | 'done' | 'refused'>
  outcome: string | null
  requested_at: FilledTimestamp
  ended_at: NullableTimestamp
  held_until: NullableTimestamp
}

interface SessionsTable {
  id: string
  shard: number
  tenant: string
  owner: string
  orchestrator_id: string
  type: string
  status: SessionStatus
  idem_key: string | null
  body_hash: string
  spawn: JsonText
  memory_profile: Generated<string | null>
  submitted: Generated<boolean>
  purged: Generated<boolean>
  awake: Generated<boolean>
  snapshot: NullableJsonText
  derived_epoch: Generated<number>
  derived_seq: Generated<number>
  created_at: FilledTimestamp
  updated_at: FilledTimestamp
}

interface TasksTable {
  session_id: string
  task_id: string
  turn: number
  status: 'in_progress' | 'completed' | 'failed' | 'cancelled'
  body: JsonText
  error: string | null
  prompt_tokens: Generated<number>
  completion_tokens: Generated<number>
  cost: Generated<number>
  started_at: Timestamp
  ended_at: NullableTimestamp
}

interface StepsTable {
  session_id: string
  turn: number
  step: number
  kind: 'model' | 'tool'
  ref: string
  model: Generated<string>
  effect: string | null
  attempt: number
  status: 'started' | 'completed' | 'failed'
  tokens: Generated<number>
  cost: Generated<number>
  started_at: Timestamp
  ended_at: NullableTimestamp
}

interface ToolIntentsTable {
  session_id: string
  command_id: string
  step: number
  position: number
  call_id: string
  tool: string
  token: string
  at: FilledTimestamp
}

interface ScheduledTasksTable {
  tenant: string
  id: string
  owner: string
  idem_key: string | null
  body_hash: string
  session_id: string | null
  is_spawn: boolean
  task_id: string
  request: JsonText
  rank: number
  cron: string | null
  timezone: string | null
  max_runs: number | null
  until: NullableTimestamp
  due_at: Timestamp
  unmet: Generated<number>
  runs: Generated<number>
  missed: Generated<number>
  run: NullableJsonText
  status: Generated<'waiting' | 'released' | 'finished' | 'failed' | 'cancelled'>
  cancel_requested: Generated<boolean>
  end_status: 'failed' | 'cancelled' | null
  end_code: string | null
  end_error: string | null
  failures: Generated<number>
  watcher: string | null
  watched_until: NullableTimestamp
  created_at: FilledTimestamp
  ended_at: NullableTimestamp
  traceparent: string | null
}

interface TaskDependenciesTable {
  tenant: string
  waiter: string
  position: number
  task_id: string
  session_id: string | null
  schedule_id: string | null
  status: Generated<'pending' | 'completed' | 'failed' | 'cancelled'>
  look_at: FilledTimestamp
  since: FilledTimestamp
}

interface DeadLettersTable {
  id: string
  session_id: string
  tenant: string
  command: JsonText
  attempts: number
  reason: string
  at: FilledTimestamp
}

interface BudgetLedgerTable {
  step_id: string
  at: Timestamp
  tenant: string
  orchestrator_id: string
  session_id: string
  model: string
  tools: string[]
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  tokens: ColumnType<number, never, never>
  cost: number
}

interface BudgetOverridesTable {
  id: Generated<number>
  tenant: string
  scope: 'session' | 'orchestrator' | 'tenant'
  scope_id: string
  period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'session'
  tokens: number
  reason: string
  created_by: string
  created_at: FilledTimestamp
  expires_at: Timestamp
  revoked_by: string | null
  revoked_at: NullableTimestamp
}

export type MemoryTier = 'scratchpad' | 'episodic' | 'semantic'
export type MemoryKind = 'interaction' | 'observation' | 'decision' | 'knowledge'

interface MemoryItemsTable {
  id: string
  tenant: string
  owner: string
  orchestrator_id: string
  session_id: string | null
  tier: MemoryTier
  kind: MemoryKind
  namespace: string
  key: string | null
  identity: string
  content_hash: string
  content: string
  tags: Generated<string[]>
  metadata: ColumnType<Record<string, unknown>, string | undefined, string>
  words: string
  word_count: number
  bytes: number
  valid_from: Timestamp
  valid_to: NullableTimestamp
  expires_at: NullableTimestamp
  created_at: FilledTimestamp
}

interface FederationOrchestratorsTable {
  tenant: string
  id: string
  capabilities: string[]
  region: string | null
  tier: number
  session_type: string
  groups: string[]
  max_sessions: number
  max_tokens: number | null
  active_sessions: Generated<number>
  tokens_used: Generated<number>
  registered_at: FilledTimestamp
  heartbeat_at: FilledTimestamp
  succeeded_at: Generated<Date[]>
  failed_at: Generated<Date[]>
}

interface FederationDelegationsTable {
  tenant: string
  id: string
  owner: string
  body_hash: string
  request: JsonText
  from_orchestrator: string
  status: Generated<'pending' | 'running' | 'completed' | 'failed' | 'cancelled'>
  target: string | null
  session_id: string | null
  session_type: string | null
  reused: Generated<boolean>
  attempt: Generated<number>
  failures: Generated<number>
  tried: Generated<string[]>
  not_before: FilledTimestamp
  deadline: Timestamp
  cancel_requested: Generated<boolean>
  watcher: string | null
  watched_until: NullableTimestamp
  result: NullableJsonText
  created_at: FilledTimestamp
  ended_at: NullableTimestamp
  traceparent: string | null
}

interface FederationContextTable {
  tenant: string
  group_name: string
  key: string
  version: number
  value: JsonText
  updated_by: string
  updated_at: FilledTimestamp
}

interface FederationInboxTable {
  tenant: string
  orchestrator: string
  broadcast: string
  sender: string
  body: JsonText
  sent_at: FilledTimestamp
  expires_at: Timestamp
  acknowledged_at: NullableTimestamp
}
