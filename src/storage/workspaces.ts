/**
 * Files of sessions, so that another worker can go on with them. Contents are stored once, under their SHA-256.
 */
import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { ServiceError } from '../protocol/errors.js'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'
import type { Schema } from './schema.js'

export interface WorkspaceFile {
  /** Relative to the workspace, with `/` between folders. */
  readonly path: string
  /** Permission bits. */
  readonly mode: number
  readonly bytes: Uint8Array
}

interface HashedFile extends WorkspaceFile {
  readonly hash: string
}

/** All files of one session together; a takeover loads them before its turn goes on, within seconds. */
export const MAX_WORKSPACE_BYTES = 64 * 1024 * 1024

/** Savers share this advisory lock, a sweep has it alone: no content disappears between its check and its first use. */
const SWEEP_LOCK = 7_261_540_119

export class Workspaces {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Stores what changed in a session's files, all of it or nothing. Throws ServiceError `invalid_payload` when the files
   * would then take more than `MAX_WORKSPACE_BYTES`.
   */
  async save(sessionId: SessionId, changed: readonly WorkspaceFile[], deletedPaths: readonly string[]): Promise<void> {
    // What cannot fit is refused before it travels.
    refuseAbove(
      sessionId,
      changed.reduce((sum, { bytes }) => sum + bytes.byteLength, 0),
    )
    const files = changed.map((file) => ({ ...file, hash: sha256(file.bytes) }))
    await this.#database.sql.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock_shared(${SWEEP_LOCK})`.execute(transaction)
      await deleteFiles(transaction, sessionId, deletedPaths)
      await addContents(transaction, files)
      await putFiles(transaction, sessionId, files)
      await refuseTooLarge(transaction, sessionId)
    })
  }

  /** All files of a session, in path order. */
  async load(sessionId: SessionId): Promise<(WorkspaceFile & { readonly bytes: Buffer })[]> {
    return this.#database.sql
      .selectFrom('workspace_files')
      .innerJoin('workspace_blobs', 'workspace_blobs.hash', 'workspace_files.hash')
      .select(['path', 'mode', 'bytes'])
      .where('session_id', '=', sessionId)
      .orderBy('path')
      .execute()
  }

  /** Path to SHA-256 (hex) of all files of a session. */
  async listHashes(sessionId: SessionId): Promise<Map<string, string>> {
    const files = await this.#database.sql
      .selectFrom('workspace_files')
      .select(['path', 'hash'])
      .where('session_id', '=', sessionId)
      .execute()
    return new Map(files.map(({ path, hash }) => [path, hash]))
  }

  /** Removes at most `limit` contents that no file has any more; returns how many. Savers wait meanwhile. */
  async sweepContents(limit: number): Promise<number> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${SWEEP_LOCK})`.execute(transaction)
      const { rows } = await sql`
        delete from workspace_blobs where hash in (
          select hash from workspace_blobs b
          where not exists (select from workspace_files f where f.hash = b.hash) limit ${limit})
        returning hash`.execute(transaction)
      return rows.length
    })
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function deleteFiles(
  transaction: Transaction<Schema>,
  sessionId: SessionId,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return
  await transaction
    .deleteFrom('workspace_files')
    .where('session_id', '=', sessionId)
    .where(sql<boolean>`path = any (${paths}::text[])`)
    .execute()
}

/** Sends only contents that are not there yet, one at a time, so that a large save needs no large statement. */
async function addContents(transaction: Transaction<Schema>, files: readonly HashedFile[]): Promise<void> {
  const missing = new Map(files.map((file) => [file.hash, file.bytes]))
  const { rows } = await sql<{ hash: string }>`
    select hash from workspace_blobs where hash = any (${[...missing.keys()]}::text[])`.execute(transaction)
  for (const { hash } of rows) missing.delete(hash)
  // In hash order: two savers of the same contents must not wait for each other.
  for (const [hash, bytes] of [...missing].sort(([a], [b]) => (a < b ? -1 : 1))) {
    await transaction
      .insertInto('workspace_blobs')
      .values({ hash, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), size: bytes.byteLength })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}

async function putFiles(
  transaction: Transaction<Schema>,
  sessionId: SessionId,
  files: readonly HashedFile[],
): Promise<void> {
  await sql`
    insert into workspace_files (session_id, path, hash, mode)
    select ${sessionId}, path, hash, mode
    from unnest(${files.map(({ path }) => path)}::text[], ${files.map(({ hash }) => hash)}::text[],
                ${files.map(({ mode }) => mode)}::int[]) as f (path, hash, mode)
    on conflict (session_id, path) do update set hash = excluded.hash, mode = excluded.mode, changed_at = now()
  `.execute(transaction)
}

async function refuseTooLarge(transaction: Transaction<Schema>, sessionId: SessionId): Promise<void> {
  const { bytes } = await transaction
    .selectFrom('workspace_files')
    .innerJoin('workspace_blobs', 'workspace_blobs.hash', 'workspace_files.hash')
    .select(sql<number>`coalesce(sum(size), 0)`.as('bytes'))
    .where('session_id', '=', sessionId)
    .executeTakeFirstOrThrow()
  refuseAbove(sessionId, bytes)
}

function refuseAbove(sessionId: SessionId, bytes: number): void {
  if (bytes <= MAX_WORKSPACE_BYTES) return
  throw new ServiceError('invalid_payload', {
    reason: `the files of session ${sessionId} take ${bytes} bytes, and ${MAX_WORKSPACE_BYTES} are allowed; delete some`,
  })
}
