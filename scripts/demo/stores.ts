/**
 * Redis and PostgreSQL for one run of the cluster demo: a cluster name and a database of its own, both gone afterwards.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import type { NodeId } from '../../src/protocol/ids.js'
import { startPostgres, startRedis } from '../servers/servers.js'
import type { StoredEvent } from './session-record.js'

const MAX_CONNECTIONS = 2
const KEYS_PER_SCAN = 1_000

export interface Stores {
  /** Settings for the nodes. */
  readonly env: Readonly<Record<string, string>>
  /** Who owns each shard, by the authority. */
  owners(): Promise<ReadonlyMap<number, NodeId>>
  /** The log of a session as Postgres keeps it. */
  events(sessionId: string): Promise<StoredEvent[]>
}

/** Takes the servers of TEST_REDIS_URL and TEST_DATABASE_URL when they are set, and leaves nothing there. */
export async function openStores(teardown: Teardown): Promise<Stores> {
  const name = `demo_${randomBytes(4).toString('hex')}`
  const [redis, postgres] = await Promise.all([
    teardown.open('Redis', startRedis()),
    teardown.open('PostgreSQL', startPostgres()),
  ])
  if (process.env.TEST_REDIS_URL) teardown.add('the keys in Redis', () => deleteKeys(redis.url, `${name}:`))
  const databaseUrl = await createDatabase(postgres.url, name, teardown)
  const pool = new pg.Pool({ connectionString: databaseUrl, max: MAX_CONNECTIONS })
  pool.on('error', () => {}) // The next query says it.
  teardown.add('the connections to PostgreSQL', () => pool.end())
  return {
    env: { REDIS_URL: redis.url, DATABASE_URL: databaseUrl, CLUSTER_NAME: name },
    owners: () => readOwners(pool),
    events: (sessionId) => readEvents(pool, sessionId),
  }
}

async function createDatabase(adminUrl: string, name: string, teardown: Teardown): Promise<string> {
  await execute(adminUrl, `create database ${name}`)
  const drop = `drop database if exists ${name} with (force)`
  // A server of our own goes as a whole.
  if (process.env.TEST_DATABASE_URL) teardown.add('the database', () => execute(adminUrl, drop))
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

async function readOwners(pool: pg.Pool): Promise<ReadonlyMap<number, NodeId>> {
  const { rows } = await pool.query<{ shard: number; owner: NodeId }>(
    'select shard, owner from shard_assignments where owner is not null',
  )
  return new Map(rows.map(({ shard, owner }) => [shard, owner]))
}

async function readEvents(pool: pg.Pool, sessionId: string): Promise<StoredEvent[]> {
  const { rows } = await pool.query<{ seq: string; body: StoredEvent['body'] }>(
    'select seq, body from events where session_id = $1 order by seq',
    [sessionId],
  )
  return rows.map(({ seq, body }) => ({ seq: Number(seq), body }))
}

function deleteKeys(url: string, prefix: string): Promise<void> {
  return withRedis(url, async (redis) => {
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', KEYS_PER_SCAN)
      if (keys.length > 0) await redis.unlink(...keys)
      cursor = next
    } while (cursor !== '0')
  })
}
