/**
 * A shard moves from one worker to another while its sessions are idle, busy, stopped, or lose their worker.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { PinHolder } from '../../src/worker/pin-holder.js'
import { SessionHost } from '../../src/worker/session-host.js'
import { HeldTurns } from '../support/held-turns.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const PATIENCE = { timeout: 15_000, interval: 5 } as const
/** Long enough that a turn which is cut fails the test. */
const DRAIN_MS = 30_000

const quick: Runtime = { run: async (turn) => ({ output: turn.task.description }) }

async function clusterOf(runtime: Runtime, drainTimeoutMs?: number) {
  const redisUrl = process.env.TEST_REDIS_URL ?? ''
  const cluster = await WorkerCluster.start({
    runtimeOf: () => runtime,
    redisUrl,
    ...(drainTimeoutMs !== undefined && { drainTimeoutMs }),
  })
  const first = await cluster.takeOver('first')
  const second = await cluster.join('second')
  return { cluster, first, second }
}

test('D-07: an idle session goes on at the next owner, whose events follow without a gap', async () => {
  const { cluster, first, second } = await clusterOf(quick)
  const session = await cluster.spawn('llm', { description: 'one' })
  await session.event('task_completed')

  await cluster.move(first, second)
  await cluster.owned(second)
  await session.execute({ description: 'two' })
  await session.event('task_completed', 1)

  const epochs = session.events.map(({ eventId }) => eventId)
  expect(epochs.map((id) => Number(id.split('-')[1]))).toEqual(epochs.map((_, index) => index + 1))
  expect(new Set(epochs.map((id) => id.split('-')[0])).size).toBe(2)
  expect(session.events.some(({ type }) => type === 'session_takeover')).toBe(false)
})

test('a turn that ends within a moment of the move needs no pin, and the next one begins at the next owner', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held)
  const hold = vi.spyOn(PinHolder.prototype, 'hold')
  onTestFinished(() => hold.mockRestore())
  const session = await cluster.spawn('llm', { description: 'short' })
  await session.textBegins()
  const next = await session.execute({ description: 'next' })
  const { retire } = SessionHost.prototype
  const retiring = vi.spyOn(SessionHost.prototype, 'retire').mockImplementationOnce(function (
    this: SessionHost,
    shards,
  ) {
    const retired = retire.call(this, shards, PATIENCE.timeout)
    held.end(held.running[0] ?? '')
    return retired
  })
  onTestFinished(() => retiring.mockRestore())

  await cluster.move(first, second)
  await vi.waitFor(() => expect(held.running).toContain(next.id), PATIENCE)
  held.end(next.id)
  await session.event('task_completed', 1)

  const epochs = session.events
    .filter(({ type }) => type === 'task_completed')
    .map(({ eventId }) => eventId.split('-')[0])
  expect(new Set(epochs).size).toBe(2)
  expect(hold).not.toHaveBeenCalled()
})

test('a running turn is not cut, commands for its session wait, and run after it at the next owner', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held)
  const session = await cluster.spawn('llm', { description: 'long' })
  await session.textBegins()

  await cluster.move(first, second)
  await cluster.owned(second)
  const task = await session.execute({ description: 'next' })
  await sleep(300)
  expect(held.running).toHaveLength(1)
  held.end(held.running[0] ?? '')
  await session.event('task_completed')
  await vi.waitFor(() => expect(held.running).toContain(task.id), PATIENCE)
  held.end(task.id)
  await session.event('task_completed', 1)

  const seqs = session.events.map(({ eventId }) => Number(eventId.split('-')[1]))
  expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  expect(held.running).toHaveLength(2)
  expect([...session.texts.values()]).toEqual(['begun ended', 'begun ended'])
  expect(session.events.some(({ type }) => type === 'session_takeover')).toBe(false)
  await vi.waitFor(async () => expect(await pinsOf(cluster)).toEqual([]), PATIENCE)
})

test('cancel and stop reach the turn that stayed behind', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held)
  const [one, two] = [
    await cluster.spawn('llm', { description: '1' }),
    await cluster.spawn('llm', { description: '2' }),
  ]
  await Promise.all([one.textBegins(), two.textBegins()])
  await cluster.move(first, second)
  await cluster.owned(second)

  await one.control('cancel')
  await two.control('stop')

  await one.event('task_cancelled')
  await two.event('task_cancelled')
  const update = await two.event('session_status_update')
  expect(update.session.status).toBe('terminated')
  const next = await one.execute({ description: 'after' })
  await vi.waitFor(() => expect(held.running).toContain(next.id), PATIENCE)
})

test('when the worker of a pinned turn is dead the owner goes on with it', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held)
  const session = await cluster.spawn('llm', { description: 'long' })
  await session.textBegins()
  await cluster.move(first, second)
  await cluster.owned(second)

  await cluster.bury(first.id)
  const takeover = await session.event('session_takeover')
  await vi.waitFor(() => expect(held.running).toHaveLength(2), PATIENCE)
  held.end(held.running[0] ?? '')
  await session.event('task_completed')

  expect(takeover).toMatchObject({ fromWorker: first.id, worker: second.id, attempt: 1 })
  await vi.waitFor(async () => expect(await pinsOf(cluster)).toEqual([]), PATIENCE)
})

test('a pinned session moves with its shard from owner to owner, also back to its holder', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held)
  const third = await cluster.join('third')
  const session = await cluster.spawn('llm', { description: 'long' })
  await session.textBegins()

  const ways = [first, second, third, first]
  for (const [from, to] of ways.slice(1).map((to, index) => [ways[index] ?? first, to] as const)) {
    await cluster.move(from, to)
    await cluster.owned(to)
  }
  const task = await session.execute({ description: 'next' })
  await session.control('cancel')
  await session.event('task_cancelled')
  await vi.waitFor(() => expect(held.running).toContain(task.id), PATIENCE)
  held.end(task.id)
  await session.event('task_completed')

  expect(held.running).toHaveLength(2)
})

test('a worker that stops waits for its turns, and the others have its shards meanwhile', async () => {
  const held = new HeldTurns()
  const { cluster, second } = await clusterOf(held, DRAIN_MS)
  const [busy, idle] = [
    await cluster.spawn('llm', { description: 'long' }),
    await cluster.spawn('llm', { description: '' }),
  ]
  await Promise.all([busy.textBegins(), idle.textBegins()])
  await idle.control('cancel')
  await idle.event('task_cancelled')

  const drained = cluster.drainFirst()
  await vi.waitFor(async () => expect(await pinsOf(cluster)).toHaveLength(1), PATIENCE)
  await cluster.assign(second.id)
  await idle.execute({ description: 'goes on' })
  await vi.waitFor(() => expect(held.running).toHaveLength(3), PATIENCE)
  expect(busy.events.at(-1)?.type).toBe('stream_start')
  // Not the first that ran: two sessions begin in any order.
  const { taskId } = await busy.event('task_executing')
  held.end(taskId)

  await busy.event('task_completed')
  for (const each of held.running) held.end(each)
  await drained
  expect(busy.events.some(({ type }) => type === 'session_takeover')).toBe(false)
})

test('a turn that outlasts the time for draining is cut as recorded, and goes on without counting as an attempt', async () => {
  const held = new HeldTurns()
  const { cluster, first, second } = await clusterOf(held, 200)
  const session = await cluster.spawn('llm', { description: 'long' })
  await session.textBegins()

  await cluster.drainFirst()
  await cluster.leave(first.id)
  await cluster.assign(second.id)

  const takeover = await session.event('session_takeover')
  expect(takeover).toMatchObject({ worker: second.id, attempt: 0 })
})

async function pinsOf(cluster: WorkerCluster) {
  return (await cluster.bus.handover?.pins(0))?.pins
}
