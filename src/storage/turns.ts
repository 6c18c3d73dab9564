/**
 * Turns of sessions, as the projection derives them from events: for people who want to know what was done.
 */
import { sql } from 'kysely'
import { ServiceError } from '../protocol/errors.js'
import type { SessionId } from '../protocol/ids.js'
import type { Task } from '../protocol/session.js'
import type { Database } from './database.js'

export interface TurnRecord {
  readonly taskId: string
  readonly turn: number
  readonly status: 'in_progress' | 'completed' | 'failed' | 'cancelled'
  /** The first 200 characters. */
  readonly description: string
  readonly error: string | null
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cost: number
  readonly startedAt: Date
  readonly endedAt: Date | null
}

export interface TurnPage {
  readonly turns: readonly TurnRecord[]
  readonly cursor?: string
}

const MAX_DESCRIPTION_CHARS = 200
const CURSOR = /^\d{1,9}$/

export class Turns {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Newest first. @throws ServiceError `invalid_payload` for a cursor of somebody else. */
  async page(sessionId: SessionId, limit: number, cursor: string | undefined): Promise<TurnPage> {
    if (cursor !== undefined && !CURSOR.test(cursor)) {
      throw new ServiceError('invalid_payload', { reason: 'the cursor is not one that a list of turns returned' })
    }
    // Index tasks_pkey. The text is read here, not by the database, which refuses to look into some JSON.
    const { rows } = await sql<Omit<TurnRecord, 'description'> & { body: string }>`
      select task_id as "taskId", turn, status, body::text as body, error, prompt_tokens as "promptTokens",
        completion_tokens as "completionTokens", cost, started_at as "startedAt", ended_at as "endedAt"
      from tasks where session_id = ${sessionId} and turn < ${cursor === undefined ? 2 ** 31 - 1 : Number(cursor)}
      order by turn desc limit ${limit + 1}`.execute(this.#database.sql)
    const turns = rows.slice(0, limit).map(({ body, ...turn }) => ({ ...turn, description: descriptionIn(body) }))
    const last = rows.length > limit ? turns.at(-1) : undefined
    return { turns, ...(last && { cursor: String(last.turn) }) }
  }
}

const descriptionIn = (body: string): string => (JSON.parse(body) as Task).description.slice(0, MAX_DESCRIPTION_CHARS)
