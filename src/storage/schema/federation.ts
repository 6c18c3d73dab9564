/**
 * Tables of orchestrators that delegate tasks to each other.
 */
import type { Generated } from 'kysely'
import type { FilledTimestamp, JsonText, NullableJsonText, NullableTimestamp, Timestamp } from './columns.js'

export interface FederationOrchestratorsTable {
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

export interface FederationDelegationsTable {
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

export interface FederationContextTable {
  tenant: string
  group_name: string
  key: string
  version: number
  value: JsonText
  updated_by: string
  updated_at: FilledTimestamp
}

export interface FederationInboxTable {
  tenant: string
  orchestrator: string
  broadcast: string
  sender: string
  body: JsonText
  sent_at: FilledTimestamp
  expires_at: Timestamp
  acknowledged_at: NullableTimestamp
}
