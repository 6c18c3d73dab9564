/**
 * A Redis fails over to a replica that lacks the last writes, under sessions that stream and commands that come. Their
 * worker lives: it puts everything back, under the same ids, and goes on.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type Client, type ConnectOptions, connect, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { createServerDatabase } from '../support/databases.js'
import { RedisPair } from '../support/redis-pair.js'
import { type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
const PATIENCE = { timeout: 40_000, interval: 20 } as const
const STREAM = { count: 400, bytes: 12, delayMs: 10 }
const SESSIONS = 6

interface World {
  readonly pair: RedisPair
  readonly daemon: RunningDaemon
  readonly client: Client
  events(sessionId: string): Promise<string[]>
}

async function begin(): Promise<World> {
  const pair = await RedisPair.start()
  const database = await createServerDatabase()
  const folder = settingsFolder()
  const daemon = await startWith(folder.path, {
    REDIS_URL: pair.url,
    DATABASE_URL: database.url,
    CLUSTER_NAME: `failover-${randomBytes(4).toString('hex')}`,
    SHARD_COUNT: '8',
    DAEMON_RATE_LIMIT_MAX: '100000',
    LOG_FORMAT: 'json',
  })
  const client = await connect({ url: `ws://127.0.0.1:${daemon.daemon.port}`, webSocket })
  onTestFinished(async () => {
    client.close()
    await daemon.stop()
    await pair.stop()
    await database.remove()
    folder.remove()
  })
  return { pair, daemon, client, events: (id) => eventsIn(database.url, id) }
}

async function eventsIn(url: string, sessionId: string): Promise<string[]> {
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  try {
    const text = 'select body::text as body from events where session_id = $1 order by epoch, seq'
    return (await database.query<{ body: string }>(text, [sessionId])).rows.map(({ body }) => body)
  } finally {
    await database.end()
  }
}

/** Everything that the client hears of a session, as it comes. */
function listen(session: SessionHandle): ServerMessage[] {
  const heard: ServerMessage[] = []
  void (async () => {
    for await (const message of session) heard.push(message)
  })().catch(() => undefined)
  return heard
}

const logged = (heard: readonly ServerMessage[]) =>
  heard.flatMap((it) => (it.type !== 'subscribed' && 'eventId' in it && it.eventId ? [it] : []))

test('what a failover loses is back under the same ids, clients see no reset, and every command runs once', async () => {
  const { pair, daemon, client, events } = await begin()
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, () => client.spawn({ sessionType: 'echo', task: JSON.stringify(STREAM) })),
  )
  const heard = sessions.map(listen)
  await vi.waitFor(
    () => expect(heard.every((it) => it.some(({ type }) => type === 'stream_chunk'))).toBe(true),
    PATIENCE,
  )
  await pair.inSync()

  pair.cutLink()
  // Lost: spawns, acceptances, events, text.
  const late = await Promise.all(
    Array.from({ length: SESSIONS }, (_, index) => client.spawn({ sessionType: 'echo', task: `late ${index}` })),
  )
  const lateHeard = late.map(listen)
  const lost = late.map((session, index) => session.execute(`lost ${index}`))
  const queued = sessions.map((session, index) => session.execute(`queued ${index}`))
  await Promise.all(lost)
  await sleep(300)
  await pair.failOver()
  const after = [...sessions, ...late].map((session, index) => session.execute(`after ${index}`))
  const ends = await Promise.all([...lost, ...queued, ...after])

  expect(ends.map(({ type }) => type)).toEqual(ends.map(() => 'task_completed'))
  for (const [index, session] of [...sessions, ...late].entries()) {
    const story = [...heard, ...lateHeard][index] ?? []
    expect(story.filter((it) => it.type === 'subscribed' && it.reset)).toEqual([])
    const seen = logged(story)
    const ids = seen.map(({ eventId }) => eventId)
    expect(ids).toEqual(ids.map((_, at) => `${ids[0]?.split('-')[0]}-${at + 1}`))
    const runs = seen.flatMap((it) => (it.type === 'task_executing' ? [it.taskId] : []))
    expect(new Set(runs).size).toBe(runs.length)
    await vi.waitFor(
      async () => expect((await events(session.id)).length).toBeGreaterThanOrEqual(seen.length),
      PATIENCE,
    )
    const stored = (await events(session.id)).map((body) => JSON.parse(body) as object)
    expect(stored.slice(0, seen.length)).toEqual(seen)
  }
  expect(daemon.lines.some((line) => line.includes('another Redis answers'))).toBe(true)
  expect(daemon.lines.filter((line) => line.includes('loaded anew'))).toEqual([])
}, 120_000)
