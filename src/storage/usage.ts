/**
 * What turns cost, by hour, tenant, orchestrator, type of session and model.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'

export interface UsageRow {
  readonly hour: Date
  readonly tenant: string
  readonly orchestratorId: string
  readonly sessionType: string
  /** '' for turns without a model call. */
  readonly model: string
  readonly turns: number
  readonly calls: number
  readonly tokens: number
  readonly cost: number
}

export class Usage {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Where to go on: the last hour that was added up, less `lateMs`; undefined while no turn has ended. */
  async nextFrom(lateMs: number): Promise<Date | undefined> {
    // Indexes usage_hourly_pkey and tasks_by_end.
    const { rows } = await sql<{ start: Date | null }>`
      select coalesce(
        date_trunc('hour', (select max(hour) from usage_hourly) - ${lateMs}::double precision * interval '1 millisecond', 'UTC'),
        date_trunc('hour', (select min(ended_at) from tasks where ended_at is not null), 'UTC')) as start
    `.execute(this.#database.sql)
    return rows[0]?.start ?? undefined
  }

  /**
   * Adds up the turns that ended from `from` up to, not including, `to`, both full hours. Sums replace what is there, so
   * repeating it changes nothing. Returns whether later turns may have ended.
   */
  async rollUp(from: Date, to: Date): Promise<boolean> {
    await sql`
      insert into usage_hourly as u (hour, tenant, orchestrator_id, session_type, model, turns, calls, tokens, cost)
      select date_trunc('hour', t.ended_at, 'UTC'), s.tenant, s.orchestrator_id, s.type, coalesce(m.model, ''),
        count(*), coalesce(sum(m.calls), 0), coalesce(sum(m.tokens), 0), coalesce(sum(m.cost), 0)
      from tasks t
      join sessions s on s.id = t.session_id
      left join lateral (
        select model, count(*) as calls, sum(tokens) as tokens, sum(cost) as cost from steps
        where session_id = t.session_id and turn = t.turn and kind = 'model' group by model
      ) m on true
      where t.ended_at >= ${from} and t.ended_at < ${to}
      group by 1, 2, 3, 4, 5
      on conflict (hour, tenant, orchestrator_id, session_type, model) do update set
        turns = excluded.turns, calls = excluded.calls, tokens = excluded.tokens, cost = excluded.cost
    `.execute(this.#database.sql)
    const { rows } = await sql<{ more: boolean }>`
      select exists (select from tasks where ended_at >= ${to}) as more`.execute(this.#database.sql)
    return rows[0]?.more ?? false
  }

  /** The rows of a tenant from `from` up to, not including, `to`, in their order. */
  async list(tenant: string, from: Date, to: Date): Promise<UsageRow[]> {
    return this.#database.sql
      .selectFrom('usage_hourly')
      .select(['hour', 'tenant', 'orchestrator_id as orchestratorId', 'session_type as sessionType', 'model'])
      .select(['turns', 'calls', 'tokens', 'cost'])
      .where('tenant', '=', tenant)
      .where('hour', '>=', from)
      .where('hour', '<', to)
      .orderBy('hour')
      .orderBy('orchestrator_id')
      .orderBy('session_type')
      .orderBy('model')
      .execute()
  }
}
