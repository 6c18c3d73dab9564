/**
 * Settings of the stores and the cluster take effect, against a real Redis and a real PostgreSQL.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, vi } from 'vitest'
import { startRedis } from '../../scripts/servers/servers.js'
import { redisConfig } from '../../src/assembly/planes.js'
import { Beats } from '../../src/cluster/beats.js'
import { loadConfig } from '../../src/config/load.js'
import { jobsPrefix } from '../../src/redis/keys.js'
import {
  effect,
  PATIENCE,
  RawClient,
  type RunningDaemon,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const PASSWORD = 'pass-word-of-this-test'
const CLUSTER = `settings-${randomBytes(4).toString('hex')}`
const DATABASE = `settings_${randomBytes(4).toString('hex')}`
const USER = `${DATABASE}_user`

const folder = settingsFolder()
afterAll(() => folder.remove())

const admin = () => new URL(process.env.TEST_DATABASE_URL ?? 'TEST_DATABASE_URL is missing')

/** Runs statements as the administrator of the shared server. */
const sql = <Row extends pg.QueryResultRow>(...statements: readonly string[]): Promise<Row[]> =>
  query(admin().href, statements)

/** The same in the database of the daemon. */
function own<Row extends pg.QueryResultRow>(...statements: readonly string[]): Promise<Row[]> {
  const url = admin()
  url.pathname = `/${DATABASE}`
  return query(url.href, statements)
}

async function query<Row extends pg.QueryResultRow>(url: string, statements: readonly string[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let rows: Row[] = []
    for (const statement of statements) rows = (await client.query<Row>(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

/** From now on the server wants the password. */
async function lockRedis(port: number): Promise<void> {
  const client = new Redis({ port })
  await client.config('SET', 'requirepass', PASSWORD)
  client.disconnect()
}

describe('a node of a cluster', () => {
  let running: RunningDaemon
  let redis: Awaited<ReturnType<typeof startRedis>>

  beforeAll(async () => {
    redis = await startRedis({ own: true })
    await lockRedis(redis.port)
    await sql(`create user ${USER} password '${PASSWORD}'`, `create database ${DATABASE} owner ${USER}`)
    running = await startWith(folder.path, {
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD: PASSWORD,
      REDIS_DB: '3',
      POSTGRES_HOST: admin().hostname,
      POSTGRES_PORT: admin().port,
      POSTGRES_DB: DATABASE,
      POSTGRES_USER: USER,
      POSTGRES_PASSWORD: PASSWORD,
      DATABASE_POOL_SIZE: '3',
      CLUSTER_NAME: CLUSTER,
      WORKER_CAPACITY: '5',
      SHARD_COUNT: '4',
      REBALANCE_INTERVAL: '1200',
      RETENTION_DAYS: '30',
      AUDIT_RETENTION_DAYS: '60',
      HEALTH_CHECK_TIMEOUT: '300',
      DAEMON_HEALTH_CHECK_INTERVAL: '200',
      DAEMON_SHUTDOWN_TIMEOUT: '2000',
    })
  })

  afterAll(async () => {
    await running?.stop()
    await redis.stop()
    await sql(`drop database ${DATABASE} with (force)`, `drop user ${USER}`)
  })

  const client = () => {
    const connected = new Redis({ port: redis.port, password: PASSWORD, db: 3, maxRetriesPerRequest: null })
    onTestFinished(() => connected.disconnect())
    return connected
  }

  effect(
    ['REDIS_HOST', 'REDIS_PORT', 'REDIS_PASSWORD', 'REDIS_DB', 'CLUSTER_NAME'],
    'its keys are there, and begin with the name of the cluster',
    async () => {
      const keys = await client().keys('*')

      expect(keys.length).toBeGreaterThan(0)
      expect(keys.filter((key) => !key.includes(CLUSTER))).toEqual([])
    },
  )

  effect(['WORKER_CAPACITY'], 'its beat tells the weight', async () => {
    const beats = new Beats(client(), CLUSTER)

    const [beat] = await vi.waitUntil(async () => {
      const heard = await beats.read()
      return heard.length > 0 && heard
    }, PATIENCE)

    expect(beat?.weight).toBe(5)
  })

  effect(
    ['POSTGRES_HOST', 'POSTGRES_PORT', 'POSTGRES_DB', 'POSTGRES_USER', 'POSTGRES_PASSWORD', 'DATABASE_POOL_SIZE'],
    'its tables are there, and it holds no more connections than that',
    async () => {
      const busy = await Promise.all(
        Array.from({ length: 10 }, () => RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)),
      )
      for (const each of busy) each.send({ type: 'daemon_status' })
      await Promise.all(busy.map((each) => each.frame('daemon_status_response')))
      const [row] = await sql<{ used: string }>(
        `select count(*) as used from pg_stat_activity where datname = '${DATABASE}' and usename = '${USER}'`,
      )
      for (const each of busy) each.close()

      // The leader's lock and the like may hold one of their own.
      expect(Number(row?.used)).toBeGreaterThan(0)
      expect(Number(row?.used)).toBeLessThanOrEqual(3)
    },
  )

  const jobs = () => {
    const queue = new Queue('jobs', { connection: client() as never, prefix: jobsPrefix(CLUSTER) })
    onTestFinished(() => queue.close())
    return queue
  }

  effect(['REBALANCE_INTERVAL'], 'the leader is reminded that often', async () => {
    const at = await vi.waitUntil(async () => {
      const done = await jobs().getCompleted()
      const times = done.flatMap(({ name, finishedOn }) => (name === 'rebalance' && finishedOn ? [finishedOn] : []))
      return times.length >= 4 && times.sort((a, b) => a - b)
    }, PATIENCE)

    // A busy machine is late now and then, and never early for long.
    const mean = ((at.at(-1) ?? 0) - (at[0] ?? 0)) / (at.length - 1)
    expect(mean).toBeGreaterThan(1_000)
    expect(mean).toBeLessThan(6_000)
  })

  effect(['RETENTION_DAYS'], 'dead letters that are older are removed by the leader, and no others', async () => {
    const letters = async () => await own<{ id: string }>('select id from dead_letters order by id')
    const letter = (id: string, days: number) =>
      `insert into dead_letters values ('${id}', 's', 't', '{}', 3, 'r', now() - interval '${days} days')`
    await own(letter('old', 31), letter('young', 29))
    const [leader] = await own<{ holder: string; term: string }>('select holder, term from leader')

    await jobs().add('retention', { holder: leader?.holder, term: Number(leader?.term) })

    await vi.waitUntil(async () => (await letters()).length === 1, PATIENCE)
    expect(await letters()).toEqual([{ id: 'young' }])
  })

  effect(['AUDIT_RETENTION_DAYS'], 'older rows of the audit log are removed, and one says so', async () => {
    const rows = () =>
      own<{ subject: string; action: string }>(
        `select subject, action from audit_log where tenant = 'kept' order by seq`,
      )
    const row = (days: number) => `insert into audit_log (at, tenant, actor, action, subject, detail)
      values (now() - interval '${days} days', 'kept', 'a', 'test', '${days}', '{}')`
    await own(row(61), row(59))
    const [leader] = await own<{ holder: string; term: string }>('select holder, term from leader')

    await jobs().add('retention', { holder: leader?.holder, term: Number(leader?.term) })

    await vi.waitUntil(async () => (await rows()).some(({ action }) => action === 'audit.removed'), PATIENCE)
    expect((await rows()).map(({ subject }) => subject)).toEqual(['59', '1'])
  })

  effect(
    ['DAEMON_HEALTH_CHECK_INTERVAL', 'HEALTH_CHECK_TIMEOUT'],
    'a store that is silent is in the log before anybody asks',
    async () => {
      await redis.kill('SIGSTOP')
      const line = await vi.waitUntil(
        () => running.lines.find((each) => each.includes('health: redis does not work')),
        PATIENCE,
      )
      await redis.kill('SIGCONT')

      expect(line).toContain('no answer within 300 ms')
      await vi.waitUntil(() => running.lines.some((each) => each.includes('health: redis works again')), PATIENCE)
    },
  )
})

/** A server that takes connections and never says a word. */
async function silentServer(): Promise<number> {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

effect(
  ['DATABASE_URL', 'DATABASE_CONNECT_TIMEOUT'],
  'a database that does not answer ends the start that soon',
  async () => {
    const url = `postgres://me@127.0.0.1:${await silentServer()}/d`
    const tookMs = async () => {
      const begun = performance.now()
      await expect(startWith(folder.path, { DATABASE_URL: url, DATABASE_CONNECT_TIMEOUT: '150' })).rejects.toThrow()
      return performance.now() - begun
    }

    // A busy machine may need seconds for a start, but not every time.
    await expect.poll(tookMs, { timeout: 60_000 }).toBeLessThan(4_000)
  },
)

effect(
  ['REDIS_URL', 'REDIS_CLUSTER_NODES', 'REDIS_CONNECT_TIMEOUT'],
  'the part that connects is given them',
  async () => {
    const load = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: folder.path })

    expect(redisConfig(load({ REDIS_URL: 'redis://h:1', REDIS_CONNECT_TIMEOUT: '7' }))).toMatchObject({
      url: 'redis://h:1',
      connectTimeoutMs: 7,
    })
    expect(redisConfig(load({ REDIS_CLUSTER_NODES: 'a:1,b:2' }))).toMatchObject({ clusterNodes: ['a:1', 'b:2'] })
  },
)
