/**
 * The tables as Kysely sees them; `migrations/` makes them. `int8` and `numeric` are numbers, `timestamptz` is a Date.
 * JSON goes in as text; read it with `column::text` where the exact bytes matter.
 */
import type { Generated } from 'kysely'
import type { AuditLogTable, BudgetLedgerTable, BudgetOverridesTable, UsageHourlyTable } from './schema/accounts.js'
import type { ClusterRequestsTable, NodesTable, ShardAssignmentsTable } from './schema/cluster.js'
import type { FilledTimestamp, JsonText, Timestamp } from './schema/columns.js'
import type {
  FederationContextTable,
  FederationDelegationsTable,
  FederationInboxTable,
  FederationOrchestratorsTable,
} from './schema/federation.js'
import type { MemoryItemsTable } from './schema/memories.js'
import type {
  DeadLettersTable,
  ScheduledTasksTable,
  SessionsTable,
  StepsTable,
  TaskDependenciesTable,
  TasksTable,
  ToolIntentsTable,
} from './schema/sessions.js'

export type { AssignmentState, NodeRole, NodeStatus } from './schema/cluster.js'
export type { MemoryKind, MemoryTier } from './schema/memories.js'

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
