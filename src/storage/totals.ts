/**
 * Figures over all sessions and tasks of the cluster, for status pages.
 */
import { sql } from 'kysely'
import type { DaemonStatus } from '../protocol/replies.js'
import type { Database } from './database.js'

/** Reads every task row: meant for a person's question, not for a loop. */
export async function clusterTotals(database: Database): Promise<DaemonStatus['metrics']> {
  const { rows } = await sql<DaemonStatus['metrics']>`
    select s.spawned::int as "totalSessionsSpawned",
      s.active::int as "activeSessions",
      coalesce(s.duration, 0)::float8 as "averageSessionDuration",
      t.processed::int as "totalTasksProcessed",
      t.tokens::float8 as "totalTokensUsed",
      case when t.ended = 0 then 1 else t.completed::float8 / t.ended end as "successRate"
    from (
      select count(*) as spawned,
        count(*) filter (where status in ('initializing', 'active', 'paused')) as active,
        avg((snapshot -> 'metrics' ->> 'duration')::float8) as duration
      from sessions
    ) s, (
      select count(*) filter (where status in ('completed', 'failed', 'cancelled')) as processed,
        count(*) filter (where status in ('completed', 'failed')) as ended,
        count(*) filter (where status = 'completed') as completed,
        coalesce(sum(prompt_tokens + completion_tokens), 0) as tokens
      from tasks
    ) t`.execute(database.sql)
  const [totals] = rows
  if (!totals) throw new Error('an aggregate without a row')
  return totals
}
