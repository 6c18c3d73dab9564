/**
 * Files of sessions for people to look at: what there is, and what stands in one.
 */
import { sql } from 'kysely'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface Artifact {
  readonly path: string
  readonly size: number
  /** SHA-256 of the content, in hex. */
  readonly hash: string
  readonly mode: number
  readonly changedAt: Date
}

export interface ArtifactPage {
  readonly artifacts: readonly Artifact[]
  /** The last path of the page, where there is another one. */
  readonly cursor?: string
}

const COLUMNS = sql`f.path, b.size, f.hash, f.mode, f.changed_at as "changedAt"`

export class Artifacts {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** In the order of their paths. */
  async page(sessionId: SessionId, limit: number, cursor = ''): Promise<ArtifactPage> {
    // Index workspace_files_pkey.
    const { rows } = await sql<Artifact>`
      select ${COLUMNS} from workspace_files f join workspace_blobs b on b.hash = f.hash
      where session_id = ${sessionId} and path > ${storableText(cursor)}
      order by path limit ${limit + 1}`.execute(this.#database.sql)
    const artifacts = rows.slice(0, limit)
    const last = rows.length > limit ? artifacts.at(-1) : undefined
    return { artifacts, ...(last && { cursor: last.path }) }
  }

  /** Undefined where there is no such file. */
  async find(sessionId: SessionId, path: string): Promise<Artifact | undefined> {
    const { rows } = await sql<Artifact>`
      select ${COLUMNS} from workspace_files f join workspace_blobs b on b.hash = f.hash
      where session_id = ${sessionId} and path = ${storableText(path)}`.execute(this.#database.sql)
    return rows[0]
  }

  /** Undefined when no session has a file of this content any more. */
  async content(hash: string): Promise<Buffer | undefined> {
    const row = await this.#database.sql
      .selectFrom('workspace_blobs')
      .select('bytes')
      .where('hash', '=', hash)
      .executeTakeFirst()
    return row?.bytes
  }
}
