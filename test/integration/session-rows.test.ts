/**
 * Rows of docs/compatibility.md, each under its name, through the doors of one service.
 */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const PATIENCE = { timeout: 20_000, interval: 20 }
const LONG = { echo: { count: 10_000, bytes: 4, delayMs: 50 } }
const SLOTS = 8

const folder = settingsFolder()
let running: RunningDaemon
let client: Client

beforeAll(async () => {
  const settings = { SHARD_COUNT: '4', DAEMON_RATE_LIMIT_ENABLED: 'false', DAEMON_MAX_SESSIONS: String(SLOTS) }
  running = await startWith(folder.path, settings)
  client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
})
afterAll(async () => {
  client?.close()
  await running?.stop()
  folder.remove()
})

const spawn = (task: object = {}) => client.spawn({ sessionType: 'echo', task: { description: 'first', ...task } })

/** What a session says until one message fits. */
async function until(session: SessionHandle, fits: (message: ServerMessage) => boolean): Promise<ServerMessage[]> {
  const seen: ServerMessage[] = []
  for await (const message of session) {
    seen.push(message)
    if (fits(message)) break
  }
  return seen
}

const typesOf = (messages: readonly ServerMessage[]) =>
  messages.filter(({ type }) => type.startsWith('task_') || type === 'session_status_update').map(({ type }) => type)

test('X-04: active, paused, active again, and completed by its client when its work is done; that is final', async () => {
  const session = await spawn()
  await session.result()
  await session.pause()
  await vi.waitFor(async () => expect((await session.status()).status).toBe('paused'), PATIENCE)
  await session.resume()
  const last = session.execute({ id: 'last', description: 'last' })
  await session.complete()

  expect(await last).toMatchObject({ type: 'task_completed' })
  await vi.waitFor(async () => {
    expect(await session.status()).toMatchObject({ status: 'completed', endedAt: expect.any(String) })
  }, PATIENCE)
  const again = (await client.attach(session.id)).execute('more')
  await expect(again).rejects.toMatchObject({ code: expect.stringMatching(/^session_(not_running|ended)$/) })
  expect((await client.status(session.id)).status).toBe('completed')
})

test('X-04: a stopped session is terminated, its model call is cancelled, and it never becomes completed', async () => {
  const session = await spawn({ id: 'long', metadata: LONG })
  const end = session.result()
  await until(session, ({ type }) => type === 'stream_chunk')
  await session.stop()
  await vi.waitFor(async () => expect((await client.status(session.id)).status).toBe('terminated'), PATIENCE)

  expect(await end).toMatchObject({ type: 'task_cancelled', taskId: 'long' })
  const late = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  const complete = { type: 'complete_session', payload: { sessionId: session.id } }
  expect(await late.ask(complete, 'error')).toMatchObject({ code: 'session_not_running' })
  late.close()
  expect((await client.status(session.id)).status).toBe('terminated')
})

test('X-05: a task is pending, in progress, and completed, failed or cancelled, as its session says', async () => {
  const session = await spawn({ id: 'good' })
  await session.result()
  const statusOf = async () => (await session.status()).task
  expect(await statusOf()).toMatchObject({ id: 'good', status: 'completed' })

  await session.execute({ id: 'bad', description: 'bad', metadata: { echo: { count: 0 } } })
  expect(await statusOf()).toMatchObject({ id: 'bad', status: 'failed' })

  const cancelled = session.execute({ id: 'long', description: 'long', metadata: LONG })
  const waiting = session.execute({ id: 'next', description: 'next' })
  await vi.waitFor(async () => expect(await statusOf()).toMatchObject({ id: 'long', status: 'in_progress' }), PATIENCE)
  await session.cancel('next')
  expect(await waiting).toMatchObject({ type: 'task_cancelled', taskId: 'next' })
  // The end of a task that waited says nothing about the one that runs.
  expect(await statusOf()).toMatchObject({ id: 'long', status: 'in_progress' })
  await session.cancel()
  expect(await cancelled).toMatchObject({ type: 'task_cancelled' })
  expect(await statusOf()).toMatchObject({ id: 'long', status: 'cancelled' })
  await session.stop()
})

test('X-06: a session takes further tasks, one after the other, in their order', async () => {
  const session = await spawn({ id: 'one' })
  const two = session.execute({ id: 'two', description: 'two' })
  const three = session.execute({ id: 'three', description: 'three', priority: 'critical' })
  const seen = await until(session, (message) => message.type === 'task_completed' && message.taskId === 'three')

  expect(await two).toMatchObject({ result: { output: 'two' } })
  expect(await three).toMatchObject({ result: { output: 'three' } })
  expect(typesOf(seen)).toEqual(Array(3).fill(['task_executing', 'task_completed']).flat())
  await session.stop()
})

test('X-10: sessions at work are bounded; those that rest or have ended take no room', async () => {
  const resting = await Promise.all(Array.from({ length: 2 * SLOTS }, () => spawn()))
  await Promise.all(resting.map((session) => session.result()))
  const busy = await Promise.all(Array.from({ length: SLOTS }, () => spawn({ metadata: LONG })))
  await Promise.all(busy.map((session) => until(session, ({ type }) => type === 'stream_chunk')))

  // One more waits for a slot, and has it as soon as one is free.
  const next = resting[0]?.execute({ id: 'next', description: 'next' })
  const raced = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 300, 'waits'))])
  await busy[0]?.stop()

  expect(raced).toBe('waits')
  expect(await next).toMatchObject({ type: 'task_completed' })
  await Promise.all([...resting, ...busy.slice(1)].map((session) => session.stop()))
})

test('X-11: ids of sessions and tasks that the service makes are unique, and a client’s own is kept', async () => {
  // Those that are refused for want of slots are asked for again by the client, as the same.
  const all = Array.from({ length: 100 }, (_, n) => client.spawn({ sessionType: 'echo', task: `task ${n}` }))
  const sessions = await Promise.all(all)
  const ends = await Promise.all(sessions.map((session) => session.result()))
  const own = await spawn({ id: 'my-own' })

  expect(new Set(sessions.map(({ id }) => id)).size).toBe(100)
  expect(new Set(ends.map(({ taskId }) => taskId)).size).toBe(100)
  expect((await own.result()).taskId).toBe('my-own')
})

test('a cancel overtakes everything that waits and ends the running turn before the tasks behind it begin', async () => {
  const session = await spawn({ id: 'long', metadata: LONG })
  await until(session, ({ type }) => type === 'stream_chunk')
  const behind = Array.from({ length: 20 }, (_, n) => session.execute({ id: `behind-${n}`, description: 'x' }))
  const askedAt = performance.now()
  await session.cancel('long')
  const seen = await until(session, (message) => message.type === 'task_completed' && message.taskId === 'behind-19')
  await Promise.all(behind)
  const order = seen.flatMap((message) =>
    message.type === 'task_cancelled' || message.type === 'task_executing' ? [message.taskId] : [],
  )

  expect(order).toEqual(['long', ...Array.from({ length: 20 }, (_, n) => `behind-${n}`)])
  // Generous: milliseconds are no matter of a test that shares its machine.
  expect(performance.now() - askedAt).toBeLessThan(10_000)
  await session.stop()
})
