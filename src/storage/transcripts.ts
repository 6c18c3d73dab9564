/**
 * Conversations of Claude Code processes, entry by entry, written only by the owner of the session.
 */
import { sql } from 'kysely'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'

export interface TranscriptEntry {
  /** The process's own id of the entry, where it has one: under it an entry is kept once. */
  readonly uuid: string | undefined
  /** One JSON object. */
  readonly body: string
}

/** Of one session, its agents included. A process reads it whole when it starts elsewhere, within seconds. */
export const MAX_TRANSCRIPT_BYTES = 64 * 1024 * 1024

export class Transcripts {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** From now on only this owner may append. False when a later one has taken it up. */
  async claim(sessionId: SessionId, epoch: number): Promise<boolean> {
    const { rows } = await sql`
      insert into transcripts (session_id, epoch) values (${sessionId}, ${epoch})
      on conflict (session_id) do update set epoch = excluded.epoch where transcripts.epoch <= excluded.epoch
      returning epoch`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** Adds entries in order, all or none. `fenced`: another owner has taken it up; `full`: it may not grow any more. */
  async append(
    sessionId: SessionId,
    epoch: number,
    path: string,
    entries: readonly TranscriptEntry[],
  ): Promise<'ok' | 'fenced' | 'full'> {
    const bytes = entries.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0)
    const { rows } = await sql<{ first: number }>`
      with head as (
        update transcripts set entries = entries + ${entries.length}, bytes = bytes + ${bytes}
        where session_id = ${sessionId} and epoch = ${epoch} and bytes + ${bytes} <= ${MAX_TRANSCRIPT_BYTES}
        returning entries - ${entries.length} as first
      ), added as (
        insert into transcript_entries (session_id, seq, path, uuid, body)
        select ${sessionId}, head.first + entry.n, ${path}, entry.uuid, entry.body
        from head, unnest(${entries.map(({ uuid }) => uuid ?? null)}::text[], ${entries.map(({ body }) => body)}::text[])
          with ordinality as entry (uuid, body, n)
        on conflict do nothing
      )
      select first from head`.execute(this.#database.sql)
    if (rows.length > 0) return 'ok'
    const head = await this.#database.sql
      .selectFrom('transcripts')
      .select('epoch')
      .where('session_id', '=', sessionId)
      .executeTakeFirst()
    return head?.epoch === epoch ? 'full' : 'fenced'
  }

  /** Removes all entries, for a conversation that begins anew. False when another owner has taken it up. */
  async clear(sessionId: SessionId, epoch: number): Promise<boolean> {
    const { rows } = await sql`
      with head as (
        update transcripts set bytes = 0 where session_id = ${sessionId} and epoch = ${epoch} returning session_id
      ), gone as (
        delete from transcript_entries using head where transcript_entries.session_id = head.session_id
      )
      select session_id from head`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** Bodies of the entries under `path`, oldest first. */
  async load(sessionId: SessionId, path: string): Promise<string[]> {
    const rows = await this.#database.sql
      .selectFrom('transcript_entries')
      .select('body')
      .where('session_id', '=', sessionId)
      .where('path', '=', path)
      .orderBy('seq')
      .execute()
    return rows.map(({ body }) => body)
  }

  /** Paths that have entries, but for the session's own. */
  async paths(sessionId: SessionId): Promise<string[]> {
    const rows = await this.#database.sql
      .selectFrom('transcript_entries')
      .select('path')
      .distinct()
      .where('session_id', '=', sessionId)
      .where('path', '<>', '')
      .orderBy('path')
      .execute()
    return rows.map(({ path }) => path)
  }
}
