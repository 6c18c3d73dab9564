/**
 * A worker and its Redis die together, and the replica lacks the last writes: another worker goes on. What PostgreSQL knows
 * stands, clients that saw more are reset, and no two events of a session have one number.
 */
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import pg from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type ConnectOptions, connect, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'
import { RedisPair } from '../support/redis-pair.js'

const SESSIONS = 6
const STREAM = JSON.stringify({ count: 1_000, bytes: 12, delayMs: 10 })
const PATIENCE = { timeout: 60_000, interval: 50 } as const

interface StoredEvent {
  readonly id: string
  readonly seq: number
  readonly body: string
}

async function startCluster() {
  const [pair, database] = await Promise.all([RedisPair.start(), createServerDatabase()])
  const name = `failover-${randomBytes(4).toString('hex')}`
  const started: ClusterProcess[] = []
  const start = async (role: string): Promise<ClusterProcess> => {
    const node = new ClusterProcess({
      args: ['start', '--role', role],
      env: {
        ...{ REDIS_URL: pair.url, DATABASE_URL: database.url, CLUSTER_NAME: name, SHARD_COUNT: '16' },
        ...{ DAEMON_PORT: '0', METRICS_PORT: '0', DAEMON_RATE_LIMIT_MAX: '100000' },
      },
    })
    started.push(node)
    await node.waitForLine(/"msg":"ready"/, 60_000)
    return node
  }
  onTestFinished(async () => {
    await Promise.all(started.map((it) => it.stop()))
    await pair.stop()
    await database.remove()
  })
  return { pair, database, name, start }
}

test('sessions whose worker died with the last writes of Redis go on without a fork', async () => {
  const { pair, database, name, start } = await startCluster()
  const [, worker, edge] = await Promise.all([start('coordinator'), start('worker'), start('edge')])
  const [, port] = await edge.waitForLine(/"port":(\d+).*"msg":"ready"/)
  const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
  const client = await connect({ url: `ws://127.0.0.1:${port}`, webSocket, connectTimeoutMs: 30_000 })
  onTestFinished(() => client.close())
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => client.spawn({ sessionType: 'echo', task: 'first' })),
  )
  const heard = sessions.map(listen)
  await Promise.all(sessions.map((it) => it.execute('before')))
  await pair.inSync()

  pair.cutLink()
  await Promise.all(sessions.map((it) => it.execute('lost, but projected')))
  const cut = sessions.map((it) => it.execute(STREAM))
  await vi.waitFor(async () => expect(await eventsOf(database.url)).toHaveLength(SESSIONS * 9), PATIENCE)
  const speaks = (story: readonly ServerMessage[]) => story.some(({ type }) => type === 'stream_chunk')
  await vi.waitFor(() => expect(heard.every(speaks)).toBe(true), PATIENCE)
  worker.kill('SIGKILL')
  await pair.failOver()
  await start('worker')
  const ends = await Promise.all([...cut, ...sessions.map((it) => it.execute('after'))])

  expect(ends.map(({ type }) => type)).toEqual(ends.map(() => 'task_completed'))
  for (const [index, session] of sessions.entries()) {
    const story = heard[index] ?? []
    await vi.waitFor(
      async () => expect(await eventsOf(database.url, session.id)).toHaveLength(seqsIn(story).at(-1) ?? 0),
      PATIENCE,
    )
    const stored = await eventsOf(database.url, session.id)
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, at) => at + 1))
    const bodies = new Map(stored.map(({ id, body }) => [id, body]))
    for (const [id, body] of await logOf(pair.replica.url, name, session.id)) expect(body).toBe(bodies.get(id))
    // What was projected before has stayed what it was for everybody who saw it.
    expect(
      story
        .filter(isFromBefore)
        .every((it) => JSON.stringify(JSON.parse(bodies.get(it.eventId) ?? '{}')) === JSON.stringify(it)),
    ).toBe(true)
  }
}, 240_000)

function listen(session: SessionHandle): ServerMessage[] {
  const heard: ServerMessage[] = []
  void (async () => {
    for await (const message of session) heard.push(message)
  })().catch(() => undefined) // The client is closed at the end of the test.
  return heard
}

const seqsIn = (heard: readonly ServerMessage[]): number[] =>
  heard.flatMap((it) => ('eventId' in it && it.eventId ? [Number(it.eventId.split('-')[1])] : []))

/** Nine events of three tasks: spawned, then executing and completed for each, and the beginning of the stream. */
const isFromBefore = (it: ServerMessage): it is ServerMessage & { eventId: string } =>
  it.type !== 'subscribed' && 'eventId' in it && Boolean(it.eventId) && Number(it.eventId?.split('-')[1]) <= 7

async function eventsOf(url: string, sessionId?: string): Promise<StoredEvent[]> {
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  try {
    const { rows } = await database.query<StoredEvent>(
      `select epoch || '-' || seq as id, seq::int, body::text as body from events
       where $1::text is null or session_id = $1 order by epoch, seq`,
      [sessionId ?? null],
    )
    return rows
  } finally {
    await database.end()
  }
}

async function logOf(url: string, cluster: string, sessionId: string): Promise<readonly [string, string][]> {
  const redis = new Redis(url)
  try {
    const [key] = await redis.keys(`${cluster}:*s:${sessionId}:log`)
    const entries = key === undefined ? [] : await redis.xrange(key, '-', '+')
    return entries.map(([id, fields]) => [id, fields[1] ?? ''] as const) as [string, string][]
  } finally {
    redis.disconnect()
  }
}
