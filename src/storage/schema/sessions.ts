/**
 * Tables of sessions: what they are, what they did, and what of it waits or has failed.
 */
import type { Generated } from 'kysely'
import type { SessionStatus } from '../../protocol/session.js'
import type { FilledTimestamp, JsonText, NullableJsonText, NullableTimestamp, Timestamp } from './columns.js'

export interface SessionsTable {
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

export interface TasksTable {
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

export interface StepsTable {
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

export interface ToolIntentsTable {
  session_id: string
  command_id: string
  step: number
  position: number
  call_id: string
  tool: string
  token: string
  at: FilledTimestamp
}

export interface ScheduledTasksTable {
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

export interface TaskDependenciesTable {
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

export interface DeadLettersTable {
  id: string
  session_id: string
  tenant: string
  command: JsonText
  attempts: number
  reason: string
  at: FilledTimestamp
}
