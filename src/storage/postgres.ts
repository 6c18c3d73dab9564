/**
 * Connections to a Postgres server, with the limits that keep one stuck process or one lost network from stopping others.
 */
import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import pg from 'pg'

export interface ServerConfig {
  readonly url: string
  readonly poolSize: number
  readonly connectTimeoutMs: number
}

/** The server ends a statement that runs or waits for a lock longer: no query of ours needs more. */
const STATEMENT_TIMEOUT_MS = 30_000
/** A process stopped inside a transaction must not hold its shards' rows against the new owner. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000
/** Longer than the server's own limit: whoever is silent until then is not there any more. */
const QUERY_TIMEOUT_MS = 35_000
/** Within which the operating system starts to probe a silent connection. */
const KEEP_ALIVE_DELAY_MS = 5_000

/** A pool that opens connections on demand. Its clients answer with numbers where `pg` alone would give strings. */
export function postgresPool(config: ServerConfig): PostgresPool {
  const pool = new pg.Pool({
    connectionString: config.url,
    max: config.poolSize,
    connectionTimeoutMillis: config.connectTimeoutMs,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
    types: numberTypes(),
  })
  // An idle connection broke. The pool has already dropped it, and the next query opens another one.
  pool.on('error', () => {})
  // One may break in the moment in which it is handed out, where neither the pool nor its borrower listens. The next query says so.
  pool.on('connect', (client) => client.on('error', () => {}))
  return { connect: async () => new PoolClient(await pool.connect()), end: () => pool.end() }
}

function numberTypes(): pg.TypeOverrides {
  const types = new pg.TypeOverrides()
  types.setTypeParser(pg.types.builtins.INT8, Number)
  types.setTypeParser(pg.types.builtins.NUMERIC, Number)
  return types
}

/** One borrowed connection. After a failure that is not an answer of the server it is closed instead of reused. */
class PoolClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient
  #broken: unknown

  constructor(client: pg.PoolClient) {
    this.#client = client
    // A connection that breaks between two queries of a transaction also reports it here, where nobody else listens.
    client.on('error', this.#break)
  }

  query<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  query<R>(text: unknown, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    if (typeof text !== 'string') throw new Error('the Postgres pool is not configured for cursors')
    return this.#run(text, parameters)
  }

  release(): void {
    this.#client.off('error', this.#break)
    this.#client.release(this.#broken !== undefined)
  }

  async #run<R>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    // Also for the rollback that follows a failure: closing the connection is the rollback.
    if (this.#broken) throw this.#broken
    try {
      return (await this.#client.query(text, [...parameters])) as unknown as PostgresQueryResult<R>
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) this.#broken = error
      throw error
    }
  }

  readonly #break = (error: unknown): void => {
    this.#broken ??= error
  }
}
