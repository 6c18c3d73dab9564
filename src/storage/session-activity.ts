/**
 * In which sessions of a tenant something happens: for whoever watches all of them.
 */
import { sql } from 'kysely'
import type { EventId, SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'

export interface ActiveSession {
  readonly id: SessionId
  readonly owner: string
  readonly createdAt: Date
}

/** Sessions that one look goes through: some ms, and more than a tenant has at work. An older one is not seen. */
const MAX_LOOKED_AT = 2_000

export class SessionActivity {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Sessions that were heard of in the last `withinMs`, the latest first, and when that was, by the database's clock. */
  async recent(
    tenant: string,
    withinMs: number,
    limit: number,
  ): Promise<{ readonly at: Date; readonly sessions: readonly ActiveSession[] }> {
    // Index sessions_by_tenant. None on `updated_at`, which every projection would write to.
    const { rows } = await sql<ActiveSession>`
      select id, owner, created_at as "createdAt" from (
        select id, owner, created_at, updated_at from sessions where tenant = ${tenant}
        order by created_at desc, id desc limit ${MAX_LOOKED_AT}) s
      where updated_at > now() - ${withinMs}::double precision * interval '1 millisecond'
      order by updated_at desc, id limit ${limit}`.execute(this.#database.sql)
    const { rows: now } = await sql<{ at: Date }>`select now() as at`.execute(this.#database.sql)
    return { at: now[0]?.at ?? new Date(), sessions: rows }
  }

  /** The last event of a session at that time, by the clocks of workers; undefined: it had none. */
  async lastBefore(sessionId: SessionId, at: Date): Promise<EventId | undefined> {
    // Index events_pkey, from its end.
    const { rows } = await sql<EventId>`
      select epoch::float8 as epoch, seq::float8 as seq from events where session_id = ${sessionId} and at <= ${at}
      order by epoch desc, seq desc limit 1`.execute(this.#database.sql)
    return rows[0]
  }
}
