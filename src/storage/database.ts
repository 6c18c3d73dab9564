/**
 * The door to Postgres: a server, or PGlite inside this process. Both speak the same SQL and give the same JavaScript
 * values back, so nothing above this file knows which one it has.
 */
import { Kysely, PostgresDialect, type PostgresPool, sql as sqlText } from 'kysely'
import { openPgliteFiles } from './pglite.js'
import { postgresPool } from './postgres.js'
import type { Schema } from './schema.js'

export type DatabaseConfig =
  | {
      readonly kind: 'postgres'
      readonly url: string
      /** Connections of this process at most. */
      readonly poolSize: number
      readonly connectTimeoutMs: number
    }
  /** Without a directory the data lives in memory and ends with `close`. */
  | {
      readonly kind: 'pglite'
      readonly directory: string | undefined
      /** With pgvector; default without. */
      readonly vectors?: boolean
    }

export interface Database {
  readonly kind: DatabaseConfig['kind']
  /** `int8` and `numeric` arrive as numbers, `timestamptz` as Date, `json` and `jsonb` parsed, `bytea` as Buffer. */
  readonly sql: Kysely<Schema>
  /** Resolves when the database answers. */
  ping(): Promise<void>
  /** Ends all connections and frees the directory; may be called twice. */
  close(): Promise<void>
}

/** 150000 is 15.0: the first digits of `server_version_num` are the major version. */
const MIN_SERVER_VERSION = 150_000

/**
 * Opens and tries the database. Throws one sentence when it cannot be reached, is older than Postgres 15, or when
 * another process has the PGlite directory open.
 */
export async function openDatabase(config: DatabaseConfig): Promise<Database> {
  if (config.kind === 'postgres') return openOn(config.kind, postgresPool(config), async () => {})
  const files = await openPgliteFiles(config.directory, config.vectors ?? false)
  return openOn(config.kind, files.pool, files.unlock)
}

async function openOn(kind: DatabaseConfig['kind'], pool: PostgresPool, after: () => Promise<void>): Promise<Database> {
  const sql = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= sql.destroy().finally(after)
    return closing
  }
  try {
    await refuseOldServer(sql)
  } catch (error) {
    await close()
    throw error
  }
  const ping = async () => {
    await sqlText`select 1`.execute(sql)
  }
  return { kind, sql, ping, close }
}

async function refuseOldServer(sql: Kysely<Schema>): Promise<void> {
  const [server] = await serverVersion(sql)
  if (server && server.version >= MIN_SERVER_VERSION) return
  throw new Error(`Postgres 15 or newer is needed, and the server is ${server?.name}; upgrade it`)
}

async function serverVersion(sql: Kysely<Schema>): Promise<{ version: number; name: string }[]> {
  const version = sqlText<{ version: number; name: string }>`
    select current_setting('server_version_num')::int as version, current_setting('server_version') as name`
  try {
    return (await version.execute(sql)).rows
  } catch (cause) {
    throw new Error(`The database does not answer (${reasonOf(cause)}); check its address and that it runs`, { cause })
  }
}

// When a host name has several addresses, Node reports one error for each and leaves the message of the whole empty.
const reasonOf = (cause: unknown): string =>
  cause instanceof AggregateError ? cause.errors.map(String).join(', ') : String(cause)
