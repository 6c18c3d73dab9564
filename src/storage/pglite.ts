/**
 * PGlite, Postgres inside this process, behind the pool that Kysely expects. It has one connection, so borrowers take
 * turns: whoever holds it may be in a transaction.
 */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite, Results } from '@electric-sql/pglite'
import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import { claimDirectory } from './data-directory.js'

const INT8 = 20
const NUMERIC = 1700
const BYTEA = 17

/** Who waits longer for the connection most likely waits for itself: a query beside its own open transaction. */
const ACQUIRE_TIMEOUT_MS = 30_000
/** A queue this long means that the process takes in more than PGlite can store. */
const MAX_WAITING = 10_000

export interface PgliteFiles {
  readonly pool: PostgresPool
  /** To be called after the pool has ended. */
  unlock(): Promise<void>
}

/**
 * Opens the database in `directory`, or an empty one in memory. The directory is made when absent and belongs to this
 * process until `unlock`; a second opener gets an error. What was acknowledged survives a killed process. `vectors` brings
 * pgvector along, which is a megabyte to read at each start.
 */
export async function openPgliteFiles(directory: string | undefined, vectors: boolean): Promise<PgliteFiles> {
  if (directory === undefined) {
    return { pool: new PglitePool(await start(undefined, vectors)), unlock: async () => {} }
  }
  const { path, lock } = claimDirectory(directory)
  try {
    return { pool: new PglitePool(await startIn(path, vectors)), unlock: async () => lock.release() }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A first start that was cut leaves half a database. The mark beside it says so, and nothing in it was ever acknowledged. */
async function startIn(path: string, vectors: boolean): Promise<PGlite> {
  const mark = `${path}.unfinished`
  if (existsSync(mark)) for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true, force: true })
  if (existsSync(join(path, 'PG_VERSION'))) return start(path, vectors)
  // The mark permits deleting everything in here, so it may stand beside nothing but an empty directory.
  if (readdirSync(path).length > 0)
    throw new Error(`${path} holds other files than a database; choose an empty directory`)
  writeFileSync(mark, 'The first start of the database beside this file has not finished.\n')
  const database = await start(path, vectors)
  rmSync(mark)
  return database
}

async function start(dataDir: string | undefined, vectors: boolean): Promise<PGlite> {
  // Loaded only here: it costs hundreds of megabytes, which a process on a Postgres server should not pay.
  const { PGlite } = await import('@electric-sql/pglite')
  const extensions = vectors ? { vector: (await import('@electric-sql/pglite-pgvector')).vector } : {}
  return PGlite.create({
    ...(dataDir === undefined ? {} : { dataDir }),
    relaxedDurability: false,
    extensions,
    parsers: { [INT8]: Number, [NUMERIC]: Number, [BYTEA]: (hex: string) => Buffer.from(hex.slice(2), 'hex') },
  })
}

/** Hands the one connection to one borrower after another, in the order in which they asked. */
class PglitePool implements PostgresPool {
  readonly #database: PGlite
  readonly #waiting: (() => void)[] = []
  #taken = false

  constructor(database: PGlite) {
    this.#database = database
  }

  async connect(): Promise<PostgresPoolClient> {
    if (this.#taken) await this.#turn()
    this.#taken = true
    return new PgliteClient(this.#database, () => this.#next())
  }

  async end(): Promise<void> {
    await this.#database.close()
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) throw new Error(`more than ${MAX_WAITING} queries wait for the database`)
    return new Promise((resolve, reject) => {
      const go = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(new Error(`the database connection was not free for ${ACQUIRE_TIMEOUT_MS} ms`))
      }, ACQUIRE_TIMEOUT_MS)
      this.#waiting.push(go)
    })
  }

  // `taken` stays true while somebody waits, so a newcomer cannot slip in before the one whose turn it is.
  #next(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#taken = false
  }
}

class PgliteClient implements PostgresPoolClient {
  readonly #database: PGlite
  readonly #free: () => void

  constructor(database: PGlite, free: () => void) {
    this.#database = database
    this.#free = free
  }

  query<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  query<R>(text: unknown, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    if (typeof text !== 'string') throw new Error('PGlite has no cursors')
    return this.#run(text, parameters)
  }

  release(): void {
    this.#free()
  }

  async #run<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    // Without parameters the simple protocol, as `pg` does: only that takes the several statements of a migration.
    const result: Results | undefined =
      parameters.length > 0
        ? await this.#database.query(text, [...parameters])
        : (await this.#database.exec(text)).at(-1)
    const { command = 'SELECT', rowCount = 0, rows = [] } = result ?? {}
    return { command, rowCount, rows } as PostgresQueryResult<R>
  }
}
