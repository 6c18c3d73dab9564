/**
 * What docs/operations.md says of backups, done: pg_dump under work, pg_restore into an empty server, and a start on what was
 * restored, with the Redis that has gone on since, with an older Redis, and with none.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type RunningRedis, startRedis } from '../../scripts/servers/servers.js'
import { findPostgres } from '../../src/chaos/servers/binaries.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { type Client, type ConnectOptions, connect, FROM_START, type SessionHandle } from '../../src/client/client.js'
import { createServerDatabase } from '../support/databases.js'
import { type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const PATIENCE = { timeout: 20_000, interval: 50 } as const
const HIBERNATE_AFTER_MS = 600
const run = promisify(execFile)
const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
const found = await findPostgres()
/** Where `pg_dump` is; undefined where PostgreSQL runs in a container. */
const programs = 'path' in found ? dirname(found.path) : undefined
if (programs === undefined) console.warn('backup-restore: SKIPPED, no PostgreSQL programs on this machine')

const folder = settingsFolder()
let redis: RunningRedis

beforeAll(async () => {
  redis = await startRedis({ own: true })
})
afterAll(async () => {
  await redis?.stop()
  folder.remove()
})

/** A cluster of one node on a database of its own. */
async function newCluster() {
  const database = await emptyDatabase()
  return { database, name: `backup-${randomBytes(4).toString('hex')}` }
}

async function emptyDatabase(): Promise<string> {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  return url
}

async function start(name: string, database: string): Promise<RunningDaemon> {
  const node = await startWith(folder.path, {
    ...{ REDIS_URL: redis.url, DATABASE_URL: database, CLUSTER_NAME: name, SHARD_COUNT: '4' },
    SESSION_HIBERNATE_AFTER: String(HIBERNATE_AFTER_MS),
  })
  onTestFinished(() => node.stop())
  return node
}

async function open({ daemon }: RunningDaemon): Promise<Client> {
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}`, webSocket })
  onTestFinished(() => client.close())
  return client
}

const spawn = (client: Client): Promise<SessionHandle> => client.spawn({ sessionType: 'echo', task: 'first' })

async function work(session: SessionHandle, times: number): Promise<void> {
  for (let time = 0; time < times; time++) expect((await session.execute('x')).type).toBe('task_completed')
}

async function backup(database: string, file: string): Promise<string> {
  const path = join(folder.path, file)
  await run(join(programs ?? '', 'pg_dump'), ['--format=custom', `--file=${path}`, database])
  return path
}

async function restored(file: string): Promise<string> {
  const database = await emptyDatabase()
  await run(join(programs ?? '', 'pg_restore'), ['--no-owner', '--exit-on-error', `--dbname=${database}`, file])
  return database
}

async function query<T extends pg.QueryResultRow>(database: string, text: string, values: readonly unknown[] = []) {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  try {
    return (await client.query<T>(text, [...values])).rows
  } finally {
    await client.end()
  }
}

const projected = (database: string, events: number) =>
  vi.waitFor(async () => {
    const [row] = await query<{ n: string }>(database, 'select count(*) as n from events')
    expect(Number(row?.n)).toBeGreaterThanOrEqual(events)
  }, PATIENCE)

const asleep = (database: string, id: string) =>
  vi.waitFor(async () => {
    const [row] = await query<{ awake: boolean }>(database, 'select awake from sessions where id = $1', [id])
    expect(row?.awake).toBe(false)
  }, PATIENCE)

/** Takes what Redis holds of a cluster away, as the loss of the server and its files does. */
const loseRedis = (name: string) =>
  withRedis(redis.url, async (client) => {
    const keys = await client.keys(`${name}:*`)
    if (keys.length > 0) await client.unlink(...keys)
    return keys.length
  })

test.skipIf(programs === undefined)(
  'on a database from an earlier hour, with the Redis of now, every session goes on under a newer epoch',
  async () => {
    const { name, database } = await newCluster()
    const first = await start(name, database)
    const client = await open(first)
    const session = await spawn(client)
    await work(session, 3)
    await projected(database, 3 + 3 * 2)
    const file = await backup(database, `${name}.dump`)
    await work(session, 2)
    const { position } = session
    client.close()
    await first.stop()

    const second = await start(name, await restored(file))
    const again = await (await open(second)).attach(session.id, position)
    await work(again, 2)

    expect(Number(again.position.eventId?.split('-')[1])).toBe(Number(position.eventId?.split('-')[1]) + 4)
  },
)

test.skipIf(programs === undefined)(
  'without Redis, sessions that hibernate come back as they were, and those that were awake say that they are lost',
  async () => {
    const { name, database } = await newCluster()
    const first = await start(name, database)
    const client = await open(first)
    const [resting, awake] = [await spawn(client), await spawn(client)]
    await work(resting, 2)
    const { id, position } = resting
    client.close()
    await asleep(database, id)
    const watcher = await open(first)
    const watched = await watcher.attach(awake.id)
    await work(watched, 1)
    await projected(database, 3 + 2 * 2 + 3 + 2)
    const file = await backup(database, `${name}.dump`)
    watcher.close()
    await first.stop()
    expect(await loseRedis(name)).toBeGreaterThan(0)

    const second = await start(name, await restored(file))
    const after = await open(second)
    const back = await after.attach(id, position)
    await work(back, 1)
    expect(Number(back.position.eventId?.split('-')[1])).toBe(Number(position.eventId?.split('-')[1]) + 2)
    await expect((await after.attach(awake.id, FROM_START)).execute('x')).rejects.toThrow(/session/i)
    await work(await spawn(after), 1)
  },
)

test.skipIf(programs === undefined)('events that were cut into parts are read and written as before', async () => {
  const { name, database } = await newCluster()
  const node = await start(name, database)
  const client = await open(node)
  const session = await spawn(client)
  await work(session, 3)
  await projected(database, 9)

  const script = new URL('../../deploy/postgres/partition-events.sql', import.meta.url).pathname
  await run(join(programs ?? '', 'psql'), ['--set', 'ON_ERROR_STOP=1', '--file', script, database])
  await work(session, 2)
  await projected(database, 13)

  const [parts] = await query<{ n: string }>(
    database,
    `select count(*) as n from pg_inherits where inhparent = 'events'::regclass`,
  )
  expect(Number(parts?.n)).toBe(16)
  const rows = await query<{ seq: string }>(
    database,
    'select seq from events where session_id = $1 order by epoch, seq',
    [session.id],
  )
  expect(rows.map(({ seq }) => Number(seq))).toEqual(rows.map((_, index) => index + 1))
})
