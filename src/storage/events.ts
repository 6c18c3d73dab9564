/**
 * The projected events of sessions, for readers who come too late for the log in Redis.
 */
import { sql } from 'kysely'
import { type EventId, formatEventId, type SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'

export interface StoredEvent {
  readonly eventId: string
  readonly type: string
  /** The event's JSON, byte by byte as it was logged. */
  readonly body: string
}

export class Events {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** At most `limit` events after `after`, up to and including `upTo`, in the order in which they happened. */
  async page(
    sessionId: SessionId,
    after: EventId,
    upTo: EventId | undefined,
    limit: number,
  ): Promise<readonly StoredEvent[]> {
    // Index events_pkey.
    const rows = await this.#database.sql
      .selectFrom('events')
      .select(['epoch', 'seq', 'type', sql<string>`body::text`.as('body')])
      .where('session_id', '=', sessionId)
      .where(sql<boolean>`(epoch, seq) > (${after.epoch}::bigint, ${after.seq}::bigint)`)
      .$if(upTo !== undefined, (query) =>
        query.where(sql<boolean>`(epoch, seq) <= (${upTo?.epoch}::bigint, ${upTo?.seq}::bigint)`),
      )
      .orderBy('epoch')
      .orderBy('seq')
      .limit(limit)
      .execute()
    return rows.map(({ epoch, seq, type, body }) => ({ eventId: formatEventId(epoch, seq), type, body }))
  }

  /** At most `limit` events up to and including `upTo`, the latest first. */
  async pageBack(sessionId: SessionId, upTo: EventId, limit: number): Promise<readonly StoredEvent[]> {
    // Index events_pkey.
    const rows = await this.#database.sql
      .selectFrom('events')
      .select(['epoch', 'seq', 'type', sql<string>`body::text`.as('body')])
      .where('session_id', '=', sessionId)
      .where(sql<boolean>`(epoch, seq) <= (${upTo.epoch}::bigint, ${upTo.seq}::bigint)`)
      .orderBy('epoch', 'desc')
      .orderBy('seq', 'desc')
      .limit(limit)
      .execute()
    return rows.map(({ epoch, seq, type, body }) => ({ eventId: formatEventId(epoch, seq), type, body }))
  }

  async contains(sessionId: SessionId, { epoch, seq }: EventId): Promise<boolean> {
    const found = await this.#database.sql
      .selectFrom('events')
      .select('seq')
      .where('session_id', '=', sessionId)
      .where('epoch', '=', epoch)
      .where('seq', '=', seq)
      .executeTakeFirst()
    return found !== undefined
  }

  /** The last event projected so far; undefined when there is none. */
  async last(sessionId: SessionId): Promise<EventId | undefined> {
    return this.#database.sql
      .selectFrom('events')
      .select(['epoch', 'seq'])
      .where('session_id', '=', sessionId)
      .orderBy('epoch', 'desc')
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst()
  }
}
