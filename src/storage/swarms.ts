/**
 * What the agents of a session have agreed on, written only by the owner of the session.
 */
import { sql } from 'kysely'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'

export class Swarms {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** The JSON that was saved last; undefined before the first. */
  async load(sessionId: SessionId): Promise<string | undefined> {
    const row = await this.#database.sql
      .selectFrom('swarms')
      .select('body')
      .where('session_id', '=', sessionId)
      .executeTakeFirst()
    return row?.body
  }

  /** False when a later owner has written: nothing is changed then. */
  async save(sessionId: SessionId, epoch: number, body: string): Promise<boolean> {
    const { rows } = await sql`
      insert into swarms (session_id, epoch, body) values (${sessionId}, ${epoch}, ${body})
      on conflict (session_id) do update set epoch = excluded.epoch, body = excluded.body
        where swarms.epoch <= excluded.epoch
      returning epoch`.execute(this.#database.sql)
    return rows.length > 0
  }
}
