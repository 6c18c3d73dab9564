/**
 * Redis and PostgreSQL of a load run, durable as the product recommends: what a run costs must be what production costs.
 */
import pg from 'pg'
import { startPostgres, startRedis } from '../../scripts/servers/servers.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import type { Members } from '../measure/processes.js'

const DATABASE = 'load'
const CLUSTER_NAME = 'load'
const MAX_CONNECTIONS = 2
const KEYS_PER_SCAN = 5_000

export interface LoadStores {
  readonly redisUrl: string
  /** Settings for the nodes. */
  readonly env: Readonly<Record<string, string>>
  /** Processes, for measuring; none for a server that does not run as one of this machine. */
  readonly members: Members
  readonly versions: { readonly redis: string; readonly postgres: string }
  /** Shards that have an owner. */
  assignedShards(): Promise<number>
  /** Events that Postgres has, counted one by one: after a long run that takes seconds and keeps the machine busy. */
  countedEvents(): Promise<number>
  /** The same by how far each session is derived: quick, and right where the last event of each is the end of a task. */
  projectedEvents(): Promise<number>
  /** Accepted commands in Redis that no worker has finished. */
  unfinishedCommands(): Promise<number>
  /** What Redis holds, in bytes. */
  redisBytes(): Promise<number>
  /** Who owns which shard. */
  owners(): Promise<ReadonlyMap<number, string>>
  /** Asks the leader to move shards, as the command line does. */
  requestMoves(moves: readonly { readonly shard: number; readonly target: string }[]): Promise<void>
}

export async function openLoadStores(teardown: Teardown): Promise<LoadStores> {
  const [redis, postgres] = await Promise.all([
    teardown.open('Redis', startRedis({ own: true })),
    teardown.open('PostgreSQL', startPostgres({ own: true, durable: true })),
  ])
  const url = new URL(postgres.url)
  url.pathname = `/${DATABASE}`
  await createDatabase(postgres.url)
  const pool = new pg.Pool({ connectionString: url.href, max: MAX_CONNECTIONS })
  pool.on('error', () => {}) // The next query says it.
  teardown.add('the connections to PostgreSQL', () => pool.end())
  const count = (query: string): Promise<number> => numberFrom(pool, query)
  return {
    redisUrl: redis.url,
    env: { REDIS_URL: redis.url, DATABASE_URL: url.href, CLUSTER_NAME },
    members: { redis: pidsOf(redis.pid), postgres: pidsOf(postgres.pid) },
    versions: { redis: await redisVersion(redis.url), postgres: await postgresVersion(pool) },
    assignedShards: () => count('select count(*) as n from shard_assignments where owner is not null'),
    projectedEvents: () => count('select coalesce(sum(derived_seq), 0) as n from sessions'),
    countedEvents: () => count('select count(*) as n from events'),
    unfinishedCommands: () => unfinishedCommands(redis.url),
    redisBytes: () => redisBytes(redis.url),
    owners: () => owners(pool),
    requestMoves: async (moves) => {
      const values = [moves.map(({ shard }) => shard), moves.map(({ target }) => target)]
      const rows = `select 'move', * from unnest($1::int[], $2::text[])`
      await pool.query(`insert into cluster_requests (kind, shard, target) ${rows}`, values)
    },
  }
}

const pidsOf = (pid: number | undefined): number[] => (pid === undefined ? [] : [pid])

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}

async function numberFrom(pool: pg.Pool, query: string): Promise<number> {
  const { rows } = await pool.query<{ n: string }>(query)
  return Number(rows[0]?.n ?? 0)
}

const redisVersion = (url: string): Promise<string> =>
  withRedis(url, async (redis) => /redis_version:(\S+)/.exec(await redis.info('server'))?.[1] ?? 'unknown')

async function postgresVersion(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ server_version: string }>('show server_version')
  return rows[0]?.server_version.split(' ')[0] ?? 'unknown'
}

function unfinishedCommands(url: string): Promise<number> {
  return withRedis(url, async (redis) => {
    let unfinished = 0
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${CLUSTER_NAME}:*:inbox`, 'COUNT', KEYS_PER_SCAN)
      for (const key of keys) unfinished += await redis.llen(key)
      cursor = next
    } while (cursor !== '0')
    return unfinished
  })
}

const redisBytes = (url: string): Promise<number> =>
  withRedis(url, async (redis) => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0))

async function owners(pool: pg.Pool): Promise<ReadonlyMap<number, string>> {
  const query = "select shard, owner from shard_assignments where owner is not null and state = 'assigned'"
  const { rows } = await pool.query<{ shard: number; owner: string }>(query)
  return new Map(rows.map(({ shard, owner }) => [shard, owner]))
}
