/**
 * Commands set aside because every attempt at them was interrupted, for a person to look at.
 */
import { sql } from 'kysely'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface NewDeadLetter {
  readonly id: string
  readonly sessionId: SessionId
  readonly tenant: string
  /** JSON of the command, kept byte by byte. */
  readonly command: string
  readonly attempts: number
  readonly reason: string
}

export interface DeadLetter extends NewDeadLetter {
  readonly at: Date
}

export class DeadLetters {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** May be repeated: a letter with a known id is left as it stands. */
  async record({ id, sessionId, tenant, command, attempts, reason }: NewDeadLetter): Promise<void> {
    await this.#database.sql
      .insertInto('dead_letters')
      .values({ id, session_id: sessionId, tenant, command, attempts, reason: storableText(reason) })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  /** The last `limit` letters of a tenant, newest first. */
  async list(tenant: string, limit: number): Promise<DeadLetter[]> {
    // Index dead_letters_by_tenant.
    return this.#database.sql
      .selectFrom('dead_letters')
      .select(['id', 'session_id as sessionId', 'tenant', sql<string>`command::text`.as('command')])
      .select(['attempts', 'reason', 'at'])
      .where('tenant', '=', tenant)
      .orderBy('at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
  }
}
