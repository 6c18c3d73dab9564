/**
 * A shard moves in the very seconds that a failover of Redis loses: what its former owner wrote there is put back before the
 * next one goes on, and what that one no longer can is known from PostgreSQL.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { newCommandId } from '../../src/protocol/ids.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { HeldTurns } from '../support/held-turns.js'
import { RedisPair } from '../support/redis-pair.js'
import { type TestSession, WorkerCluster } from '../support/worker-cluster.js'

const TIMEOUT_MS = 60_000
const PATIENCE = { timeout: 30_000, interval: 10 } as const

async function clusterOf(runtime: Runtime) {
  const pair = await RedisPair.start()
  onTestFinished(() => pair.stop())
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime, redisUrl: pair.url })
  const first = await cluster.takeOver('first')
  const second = await cluster.join('second')
  return { pair, cluster, first, second }
}

function counted() {
  const runs: string[] = []
  const runtime: Runtime = {
    run: async ({ task }) => {
      runs.push(task.description)
      return { output: task.description }
    },
  }
  return { runs, runtime }
}

/** Numbers of the events that the client saw, without those that came once more when it resumed. */
const seqs = ({ events }: TestSession) => [...new Set(events.map(({ eventId }) => Number(eventId.split('-')[1])))]

const inOrder = (session: TestSession) => seqs(session).map((_, at) => at + 1)

test(
  'a command that ended before a planned move is known at the next owner, and its events stand, when both were lost',
  async () => {
    const { runs, runtime } = counted()
    const { pair, cluster, first, second } = await clusterOf(runtime)
    const session = await cluster.spawn('llm', { description: 'before' })
    await session.event('task_completed')
    await pair.inSync()

    pair.cutLink()
    const id = newCommandId()
    await session.execute({ description: 'lost' }, id)
    await session.event('task_completed', 1)
    const fresh = await cluster.spawn('llm', { description: 'fresh' })
    await fresh.event('task_completed')
    await cluster.move(first, second)
    await cluster.owned(second)
    await session.execute({ description: 'lost too' })
    await session.event('task_completed', 2)
    await pair.failOver()
    await session.execute({ description: 'lost' }, id)
    await Promise.all([session.execute({ description: 'after' }), fresh.execute({ description: 'fresh after' })])

    await vi.waitFor(() => expect(runs).toHaveLength(6), PATIENCE)
    await Promise.all([session.event('task_completed', 3), fresh.event('task_completed', 1)])
    expect([...runs].sort()).toEqual(['after', 'before', 'fresh', 'fresh after', 'lost', 'lost too'])
    expect(seqs(session)).toEqual(inOrder(session))
  },
  TIMEOUT_MS,
)

test(
  'a shard that is given to another while Redis fails over has everything of its former owner',
  async () => {
    const { runs, runtime } = counted()
    const { pair, cluster, second } = await clusterOf(runtime)
    const session = await cluster.spawn('llm', { description: 'before' })
    await session.event('task_completed')
    await pair.inSync()

    pair.cutLink()
    const id = newCommandId()
    await session.execute({ description: 'lost' }, id)
    await session.event('task_completed', 1)
    await Promise.all([pair.failOver(), cluster.assign(second.id)])
    await session.execute({ description: 'lost' }, id)
    await session.execute({ description: 'after' })

    await vi.waitFor(() => expect(runs).toContain('after'), PATIENCE)
    expect(runs).toEqual(['before', 'lost', 'after'])
  },
  TIMEOUT_MS,
)

test(
  'a command that a dead owner ended is known at the next one, from what PostgreSQL has',
  async () => {
    const { runs, runtime } = counted()
    const { pair, cluster, first } = await clusterOf(runtime)
    const session = await cluster.spawn('llm', { description: 'before' })
    await session.event('task_completed')
    await pair.inSync()

    pair.cutLink()
    const id = newCommandId()
    await session.execute({ description: 'lost' }, id)
    await session.event('task_completed', 1)
    await cluster.projected(session, 5)
    await cluster.bury(first.id)
    await cluster.takeOver('third')
    await pair.failOver()
    await session.execute({ description: 'lost' }, id)
    await session.execute({ description: 'after' })

    await vi.waitFor(() => expect(runs).toContain('after'), PATIENCE)
    expect(runs).toEqual(['before', 'lost', 'after'])
  },
  TIMEOUT_MS,
)

for (const when of ['in the lost seconds', 'before them'] as const) {
  test(
    `a turn that stayed with its worker when its shard moved ${when} goes on there`,
    async () => {
      const held = new HeldTurns()
      const { pair, cluster, first, second } = await clusterOf(held)
      const session = await cluster.spawn('llm', { description: 'long' })
      await session.textBegins()
      const move = async () => {
        await cluster.move(first, second)
        await cluster.owned(second)
      }

      if (when === 'before them') await move()
      await pair.inSync()
      pair.cutLink()
      if (when === 'in the lost seconds') await move()
      held.say(held.running[0] ?? '', 'lost ')
      await vi.waitFor(() => expect([...session.texts.values()].join()).toContain('lost'), PATIENCE)
      await pair.failOver()
      await sleep(1_500)
      held.end(held.running[0] ?? '')

      const done = await session.event('task_completed')
      expect(done.eventId.startsWith('1-')).toBe(true)
      const next = await session.execute({ description: 'next' })
      await vi.waitFor(() => expect(held.running).toContain(next.id), PATIENCE)
      held.end(next.id)
      await session.event('task_completed', 1)
      expect(held.running).toHaveLength(2)
      expect(session.events.some(({ type }) => type === 'session_takeover')).toBe(false)
      expect(seqs(session)).toEqual(inOrder(session))
    },
    TIMEOUT_MS,
  )
}

test(
  'a turn that ended under its pin in the lost seconds has ended, and its session goes on at the owner',
  async () => {
    const held = new HeldTurns()
    const { pair, cluster, first, second } = await clusterOf(held)
    const session = await cluster.spawn('llm', { description: 'long' })
    await session.textBegins()
    await cluster.move(first, second)
    await cluster.owned(second)
    await pair.inSync()

    pair.cutLink()
    await session.control('cancel')
    await session.event('task_cancelled')
    const lost = await session.execute({ description: 'lost' })
    await vi.waitFor(() => expect(held.running).toContain(lost.id), PATIENCE)
    await pair.failOver()
    held.end(lost.id)
    await session.event('task_completed')
    const after = await session.execute({ description: 'after' })
    await vi.waitFor(() => expect(held.running).toContain(after.id), PATIENCE)
    held.end(after.id)

    await session.event('task_completed', 1)
    expect(held.running).toHaveLength(3)
    expect(seqs(session)).toEqual(inOrder(session))
  },
  TIMEOUT_MS,
)
