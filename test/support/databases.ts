/**
 * Runs one suite against every database: PGlite in memory and a PostgreSQL server.
 */
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, describe } from 'vitest'
import { type Database, type DatabaseConfig, openDatabase } from '../../src/storage/database.js'
import { migrate } from '../../src/storage/migrate.js'

/** Enough for the parallel calls of a test to meet in the server. */
const POOL_SIZE = 8
const CONNECT_TIMEOUT_MS = 5_000

/** Whether the PostgreSQL server of the tests can switch on an extension. */
export async function serverOffers(extension: string): Promise<boolean> {
  const found = await asAdmin(`select from pg_available_extensions where name = '${extension}'`)
  return found.rowCount === 1
}

type Define = (open: () => Promise<Database>) => void

interface Server {
  readonly name: string
  /** An address under which nothing is stored yet. */
  create(): Promise<DatabaseConfig>
  remove(config: DatabaseConfig): Promise<void>
}

const inMemory: Server = {
  name: 'PGlite',
  create: async () => ({ kind: 'pglite', directory: undefined }),
  remove: async () => {},
}

const server: Server = {
  name: 'PostgreSQL',
  create: async () => {
    const name = `t_${randomBytes(6).toString('hex')}`
    await asAdmin(`create database ${name}`)
    const url = new URL(adminUrl())
    url.pathname = `/${name}`
    return { kind: 'postgres', url: url.href, poolSize: POOL_SIZE, connectTimeoutMs: CONNECT_TIMEOUT_MS }
  },
  remove: async (config) => {
    if (config.kind === 'postgres') await asAdmin(`drop database ${new URL(config.url).pathname.slice(1)} with (force)`)
  },
}

/** The address of an empty database of its own on the PostgreSQL server, for a process under test. */
export async function createServerDatabase(): Promise<{ readonly url: string; remove(): Promise<void> }> {
  const config = await server.create()
  if (config.kind !== 'postgres') throw new Error('the server is no PostgreSQL')
  return { url: config.url, remove: () => server.remove(config) }
}

/** A migrated database of its own on the PostgreSQL server, and how to remove it. */
export async function openServerDatabase(): Promise<{
  readonly database: Database
  readonly url: string
  remove(): Promise<void>
}> {
  const config = await server.create()
  if (config.kind !== 'postgres') throw new Error('the server is no PostgreSQL')
  const database = await openDatabase(config)
  await migrate(database)
  return {
    database,
    url: config.url,
    remove: async () => {
      await database.close()
      await server.remove(config)
    },
  }
}

/** Defines the suite once for each kind. `open` returns the one migrated database of the suite, closed after it. */
export function eachDatabase(define: Define): void {
  eachServer(afterAll, shareMigrated(define))
}

function shareMigrated(define: Define): Define {
  return (create) => {
    let database: Promise<Database> | undefined
    const openMigrated = async (): Promise<Database> => {
      const opened = await create()
      await migrate(opened)
      return opened
    }
    define(() => {
      database ??= openMigrated()
      return database
    })
  }
}

/** The same with databases that hold nothing: a new one with each call, closed after the test. */
export function eachEmptyDatabase(define: Define): void {
  eachServer(afterEach, define)
}

/** Opens all connections of the pool, so that what is called in parallel next also runs in parallel. */
export async function openConnections({ kind, sql: db }: Database): Promise<void> {
  if (kind === 'pglite') return
  await Promise.all(Array.from({ length: POOL_SIZE }, () => sql`select pg_sleep(0.1)`.execute(db)))
}

/** The suite for the server alone. */
export function onServer(define: Define): void {
  eachServer(afterAll, shareMigrated(define), [server])
}

function eachServer(after: typeof afterAll | typeof afterEach, define: Define, servers = [inMemory, server]): void {
  describe.each(servers)('$name', ({ create, remove }) => {
    const opened: { readonly database: Database; readonly config: DatabaseConfig }[] = []
    after(async () => {
      for (const { database, config } of opened.splice(0)) {
        await database.close()
        await remove(config)
      }
    })
    define(async () => {
      const config = await create()
      const database = await openDatabase(config)
      opened.push({ database, config })
      return database
    })
  })
}

async function asAdmin(statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: adminUrl() })
  await client.connect()
  try {
    return await client.query(statement)
  } finally {
    await client.end()
  }
}

function adminUrl(): string {
  const url = process.env.TEST_DATABASE_URL
  if (!url) throw new Error('TEST_DATABASE_URL is missing; the global setup of the tests provides it')
  return url
}
