/**
 * A session from its announcement to its end: tasks, stops, cancels, pauses, and turns that wait for a slot.
 */
import { expect, test, vi } from 'vitest'
import { newNodeId } from '../../src/protocol/ids.js'
import { Echo } from '../../src/runtimes/echo.js'
import { Runtimes } from '../../src/runtimes/select.js'
import { HeldTurns } from '../support/held-turns.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const PATIENCE = { timeout: 15_000, interval: 5 } as const

const kinds = new Runtimes({ echo: new Echo() })
const start = (maxSessions?: number) =>
  WorkerCluster.start({ runtimeOf: (type) => kinds.of(type), ...(maxSessions !== undefined && { maxSessions }) })

/** An echo task that streams until it is stopped. */
const endless = { description: 'endless', metadata: { echo: { count: 10_000, bytes: 4, delayMs: 20 } } }

test('W-30, X-01: a spawned session announces itself before its task runs, and takes further tasks', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', { description: 'first' })
  await session.event('task_completed')
  await session.execute({ description: 'second' })
  await session.event('task_completed', 1)

  expect(session.events.map(({ type }) => type)).toEqual([
    'session_spawned',
    'task_executing',
    'task_completed',
    'task_executing',
    'task_completed',
  ])
  expect(session.events.map(({ eventId }) => eventId)).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5'])
})

test('W-14: stop cancels the running task and all that wait, and nothing runs afterwards', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', endless)
  await session.textBegins()
  const waiting = await session.execute({ description: 'never' })

  await session.control('stop')
  const end = await session.event('session_status_update')

  const cancelled = session.events.filter((event) => event.type === 'task_cancelled')
  expect(end.session).toMatchObject({ status: 'terminated', endedAt: expect.any(String) })
  expect(cancelled).toHaveLength(2)
  expect(cancelled[1]).toMatchObject({ taskId: waiting.id })
  expect(session.events.at(-1)).toBe(end)
})

test('commands that were accepted just before their session ended do not wait for ever', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', { description: 'one' })
  await session.event('task_completed')
  // Plays the owner in the moment between its last look at the inbox and the commit that ends the session.
  const owner = newNodeId('slow')
  await cluster.assign(owner)
  const claim = { shard: 0, owner, epoch: 2 }
  await cluster.bus.log.claim(claim)
  const late = await session.execute({ description: 'late' })
  await session.control('cancel')
  await cluster.bus.commands.accept(claim)
  const end = { sessionId: session.id, commitId: 'end', expectedSeq: 3, events: [], state: undefined }
  const nothingElse = { popInbox: 0, popControl: 0, ended: [], clearPart: false }
  const ended = await cluster.bus.log.commit(claim, { ...end, ...nothingElse, status: 'terminated' })

  await cluster.takeOver('worker-2')

  expect(ended).toEqual({ status: 'ok' })
  expect(await session.event('task_cancelled')).toMatchObject({ taskId: late.id, reason: 'the session has ended' })
  await vi.waitFor(async () => {
    expect(await cluster.bus.log.load(session.id)).toMatchObject({ status: 'terminated', inbox: [], control: [] })
  }, PATIENCE)
})

test('a session that is stopped before its worker exists announces itself and ends', async () => {
  const cluster = await start()
  const session = await cluster.spawn('echo', { description: 'never' })
  await session.control('stop')
  await cluster.takeOver('worker-1')

  const end = await session.event('session_status_update')

  expect(end.session.status).toBe('terminated')
  expect(session.events.map(({ type }) => type)).toContain('session_spawned')
  expect(session.events.at(-1)).toBe(end)
})

test('what a cancelled task had written is in the log as the client saw it', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', endless)
  await session.textBegins()

  await session.control('cancel')
  await session.event('task_cancelled')

  const end = await session.event('stream_end')
  expect(end).toMatchObject({ finishReason: 'cancelled' })
  expect(end.text).toBe(session.texts.get(end.messageId))
})

test('cancelling a task that waits ends it at once, and the running one goes on', async () => {
  const held = new HeldTurns()
  const cluster = await WorkerCluster.start({ runtimeOf: () => held })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'slow' })
  await session.textBegins()
  const unwanted = await session.execute({ description: 'unwanted' })
  const wanted = await session.execute({ description: 'wanted' })

  await session.control('cancel', unwanted.id)

  const cancelled = await session.event('task_cancelled')
  expect(cancelled.taskId).toBe(unwanted.id)
  expect(session.events.map(({ type }) => type)).not.toContain('task_completed')
  held.end(held.running[0] ?? '')
  await session.event('task_completed')
  await vi.waitFor(() => expect(held.running).toContain(wanted.id), PATIENCE)
  held.end(wanted.id)
  await session.event('task_completed', 1)
  expect(session.events.filter(({ type }) => type === 'task_executing')).toHaveLength(2)
})

test('a paused session keeps its tasks until it is resumed', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', { description: 'first' })
  await session.event('task_completed')
  await session.control('pause')
  const paused = await session.event('session_status_update')
  const task = await session.execute({ description: 'later' })
  await session.control('resume')

  await session.event('task_completed', 1)

  const resumedAt = session.events.findIndex(
    (event) => event.type === 'session_status_update' && event.session.status === 'active',
  )
  const ranAt = session.events.findIndex((event) => event.type === 'task_executing' && event.taskId === task.id)
  expect(paused.session.status).toBe('paused')
  expect(resumedAt).toBeGreaterThan(-1)
  expect(ranAt).toBeGreaterThan(resumedAt)
})

test('a command id that is sent three times runs once', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', { description: 'first' })
  await session.event('task_completed')

  for (let i = 0; i < 3; i++) await session.execute({ description: 'again' }, 'same-id')
  await session.execute({ description: 'last' })
  await session.event('task_completed', 2)

  const ran = session.events.flatMap((event) => (event.type === 'task_executing' ? [event.task.description] : []))
  expect(ran).toEqual(['first', 'again', 'last'])
})

test('W-33, X-12: a session type without a runtime fails its task with a code, and the session stays usable', async () => {
  const cluster = await start()
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'anything' })

  const failed = await session.event('task_failed')
  await session.control('pause')
  const update = await session.event('session_status_update')

  expect(failed).toMatchObject({ code: 'runtime_missing', error: expect.stringContaining('claude-code') })
  expect(update.session).toMatchObject({ status: 'paused', metrics: { errorsEncountered: 1 } })
})

test('more turns than slots wait, and the critical one goes first', async () => {
  const cluster = await start(1)
  await cluster.takeOver('worker-1')
  const running = await cluster.spawn('echo', endless)
  await running.textBegins()
  const low = await cluster.spawn('echo', { description: 'low', priority: 'low' })
  const critical = await cluster.spawn('echo', { description: 'critical', priority: 'critical' })
  await critical.event('task_executing')

  await running.control('stop')
  const [first, second] = await Promise.all([critical.event('task_completed'), low.event('task_completed')])

  expect(Date.parse(first.timestamp)).toBeLessThanOrEqual(Date.parse(second.timestamp))
})
