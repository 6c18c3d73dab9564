/**
 * Tables of accounts: who did what, and what was used of which budget.
 */
import type { ColumnType, Generated } from 'kysely'
import type { FilledTimestamp, JsonText, NullableTimestamp, Timestamp } from './columns.js'

export interface AuditLogTable {
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

export interface UsageHourlyTable {
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

export interface BudgetLedgerTable {
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

export interface BudgetOverridesTable {
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
