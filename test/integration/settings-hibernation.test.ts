/**
 * A session at rest takes nothing of Redis, and nobody notices: the next command, the next watcher and whoever repeats
 * something find it as it was. A whole node, a real Redis and a real PostgreSQL.
 */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type Client, type ConnectOptions, connect, FROM_START, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { connectCommands, disconnect, type RedisClient } from '../../src/redis/connect.js'
import { type Database, openDatabase } from '../../src/storage/database.js'
import { createServerDatabase } from '../support/databases.js'
import {
  effect,
  PATIENCE,
  RawClient,
  type RunningDaemon,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const HIBERNATE_AFTER_MS = 400
const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>

describe('on Redis', () => {
  const folder = settingsFolder()
  const name = `rest-${randomUUID()}`
  let server: Awaited<ReturnType<typeof createServerDatabase>>
  let database: Database
  let redis: RedisClient
  let running: RunningDaemon

  beforeAll(async () => {
    const url = process.env.TEST_REDIS_URL ?? ''
    server = await createServerDatabase()
    running = await startWith(folder.path, {
      ...{ REDIS_URL: url, DATABASE_URL: server.url, CLUSTER_NAME: name, SHARD_COUNT: '4' },
      SESSION_HIBERNATE_AFTER: String(HIBERNATE_AFTER_MS),
    })
    redis = await connectCommands(
      { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 },
      report,
    )
    database = await openDatabase({ kind: 'postgres', url: server.url, poolSize: 1, connectTimeoutMs: 5_000 })
  })

  afterAll(async () => {
    await running?.stop()
    await database?.close()
    if (redis) disconnect(redis)
    await server?.remove()
    folder.remove()
  })

  async function open(): Promise<Client> {
    const client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}`, webSocket })
    onTestFinished(() => client.close())
    return client
  }

  const keysOf = (sessionId: string) => redis.keys(`${name}:*${sessionId}*`)

  const asleep = (sessionId: string) => vi.waitFor(async () => expect(await keysOf(sessionId)).toEqual([]), PATIENCE)

  /** A session that has done one task, and that nobody watches any more. */
  async function resting(): Promise<string> {
    const client = await open()
    const session = await client.spawn({ task: 'first', sessionType: 'echo' })
    await until(session, 'task_completed')
    client.close()
    await asleep(session.id)
    return session.id
  }

  effect(
    ['SESSION_HIBERNATE_AFTER'],
    'a session that nobody watches leaves no key, and one that is watched stays',
    async () => {
      const client = await open()
      const watched = await client.spawn({ task: 'watched', sessionType: 'echo' })
      await until(watched, 'task_completed')

      const sessionId = await resting()

      expect(await redis.keys(`${name}:*s:${sessionId}*`)).toEqual([])
      expect((await keysOf(watched.id)).length).toBeGreaterThan(0)
      await vi.waitFor(async () => {
        const query = sql<{ awake: boolean }>`select awake from sessions where id = ${sessionId}`
        expect((await query.execute(database.sql)).rows).toEqual([{ awake: false }])
      }, PATIENCE)
    },
  )

  test('the next command finds it as it was, and its events go on counting', async () => {
    const sessionId = await resting()

    const session = await (await open()).attach(sessionId, FROM_START)
    const seen = collect(session)
    const end = await session.execute('second')

    expect(end.type).toBe('task_completed')
    const ids = () => seen.flatMap((it) => ('eventId' in it && it.type !== 'subscribed' ? [it.eventId] : []))
    await vi.waitFor(() => expect(ids()).toHaveLength(5), PATIENCE)
    expect(ids()).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5'])
  })

  test('who watches it again has its whole story, and hears what others do then', async () => {
    const sessionId = await resting()
    const seen = collect(await (await open()).attach(sessionId, FROM_START))
    await vi.waitFor(async () => expect((await keysOf(sessionId)).length).toBeGreaterThan(0), PATIENCE)

    const other = await (await open()).attach(sessionId)
    await other.execute('by another')

    const types = () => seen.map((it) => it.type).filter((it) => it !== 'subscribed')
    await vi.waitFor(() => expect(types()).toHaveLength(5), PATIENCE)
    expect(types()).toEqual(['session_spawned', 'task_executing', 'task_completed', 'task_executing', 'task_completed'])
  })

  test('a command and a spawn that were carried out before are not carried out again', async () => {
    const url = `ws://127.0.0.1:${running.daemon.port}`
    const spawn = {
      type: 'spawn_session',
      payload: { task: 'once', sessionType: 'echo', idempotencyKey: randomUUID() },
    }
    const first = await RawClient.connect(url)
    const { sessionId } = await first.ask(spawn, 'session_spawned')
    await first.frame('task_completed')
    const command = { type: 'execute_task', commandId: 'known', payload: { sessionId, task: 'known' } }
    await first.ask(command, 'command_accepted')
    await vi.waitUntil(() => first.frames.filter((it) => it.type === 'task_completed').length === 2, PATIENCE)
    first.close()
    await asleep(String(sessionId))

    const again = await RawClient.connect(url)
    onTestFinished(() => again.close())
    const repeated = await again.ask(command, 'command_accepted')
    again.send({ ...spawn, commandId: 'spawn' })
    const joined = await vi.waitUntil(() => again.frames.find((it) => it.commandId === 'spawn'), PATIENCE)

    expect(repeated).toMatchObject({ commandId: 'known', duplicate: true, result: '1-5' })
    expect(joined).toMatchObject({ type: 'command_accepted', sessionId, duplicate: true })
    const end = await (await (await open()).attach(String(sessionId))).execute('new')
    expect(end).toMatchObject({ type: 'task_completed', eventId: '1-7' })
  })

  test('a session that is over leaves too, tells its end to who asks, and takes no work', async () => {
    const client = await open()
    const session = await client.spawn({ task: 'last', sessionType: 'echo' })
    await until(session, 'task_completed')
    await session.stop()
    client.close()
    await asleep(session.id)

    const later = await open()
    const attached = await later.attach(session.id, FROM_START)
    const seen = collect(attached)

    await expect(attached.execute('too late')).rejects.toMatchObject({ code: 'session_not_running' })
    await vi.waitFor(() => expect(seen.at(-1)).toMatchObject({ session: { status: 'terminated' } }), PATIENCE)
    expect(await keysOf(session.id)).toEqual([])
  })
})

test('in one process a session at rest leaves the bus and comes back too, with nothing but the built-in database', async () => {
  const folder = settingsFolder()
  const env = { SESSION_HIBERNATE_AFTER: String(HIBERNATE_AFTER_MS), LOG_LEVEL: 'debug', SHARD_COUNT: '4' }
  const running = await startWith(folder.path, env)
  onTestFinished(async () => {
    await running.stop()
    folder.remove()
  })
  const url = `ws://127.0.0.1:${running.daemon.port}`
  const first = await connect({ url, webSocket })
  const session = await first.spawn({ task: 'first', sessionType: 'echo' })
  await until(session, 'task_completed')
  first.close()
  await vi.waitUntil(() => running.lines.some((it) => it.includes('sessions hibernate')), PATIENCE)

  const second = await connect({ url, webSocket })
  onTestFinished(() => second.close())
  const attached = await second.attach(session.id, FROM_START)
  const seen = collect(attached)
  const end = await attached.execute('second')

  expect(end).toMatchObject({ type: 'task_completed', eventId: '1-5' })
  await vi.waitFor(() => expect(seen.filter((it) => 'eventId' in it)).toHaveLength(5), PATIENCE)
}, 120_000)

const report = (error: Error) => console.warn(`redis: ${error.message}`)

function collect(session: SessionHandle): ServerMessage[] {
  const seen: ServerMessage[] = []
  void (async () => {
    for await (const message of session) seen.push(message)
  })()
  return seen
}

async function until(session: SessionHandle, type: ServerMessage['type']): Promise<void> {
  for await (const message of session) if (message.type === type) return
}
