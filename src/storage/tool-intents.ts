/**
 * Tool calls that must never run twice, noted before they begin.
 */
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface ToolIntent {
  readonly sessionId: SessionId
  readonly commandId: string
  /** The model call that asked for it, and its place in that answer. */
  readonly step: number
  readonly position: number
  readonly callId: string
  readonly tool: string
  /** Chosen by the caller for one attempt at the call. */
  readonly token: string
}

export class ToolIntents {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Notes that a call is about to begin. False when it was noted before under another token: it may have run, wholly or
   * in part. May be repeated.
   */
  async begin({ sessionId, commandId, step, position, callId, tool, token }: ToolIntent): Promise<boolean> {
    const place = { session_id: sessionId, command_id: storableText(commandId), step, position }
    const [inserted] = await this.#database.sql
      .insertInto('tool_intents')
      .values({ ...place, call_id: storableText(callId), tool: storableText(tool), token })
      .onConflict((conflict) => conflict.doNothing())
      .returning('token')
      .execute()
    if (inserted) return true
    const before = await this.#database.sql
      .selectFrom('tool_intents')
      .select('token')
      .where((is) => is.and(place))
      .executeTakeFirst()
    return before?.token === token
  }
}
