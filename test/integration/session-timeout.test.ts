/**
 * Sessions that nobody uses any more end by themselves, whoever owns them by then.
 */
import { expect, test, vi } from 'vitest'
import { Echo } from '../../src/runtimes/echo.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { Sessions } from '../../src/storage/sessions.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const TIMEOUT = 2_000
const PATIENCE = { timeout: 20_000, interval: 50 } as const
const echo = new Echo()

const BUSES = [
  ['in one process', {}],
  ['over Redis', { redisUrl: process.env.TEST_REDIS_URL ?? '' }],
] as const

test.each(BUSES)(
  '%s a session that is idle for long enough is completed, once',
  async (_where, bus) => {
    const cluster = await WorkerCluster.start({ ...bus, runtimeOf: () => echo, sessionTimeoutMs: TIMEOUT })
    await cluster.takeOver('worker-1')
    const session = await cluster.spawn('echo', { description: 'first' })
    const done = await session.event('task_completed')

    const update = await session.event('session_status_update')

    // By the clock of the worker: a client may hear of either late.
    expect(Date.parse(update.timestamp) - Date.parse(done.timestamp)).toBeGreaterThan(TIMEOUT - 100)
    expect(update.session).toMatchObject({ status: 'completed', endedAt: expect.any(String) })
    const stored = async () => (await new Sessions(cluster.database).find(session.id))?.status
    await vi.waitFor(async () => expect(await stored()).toBe('completed'), PATIENCE)
    // Final, and its timer is gone: what comes now changes nothing.
    await session.execute({ description: 'too late' }, 'late')
    const late = () => cluster.acceptances.find(({ commandId }) => commandId === 'late')
    await vi.waitFor(() => expect(late()?.status).toBe('final'), PATIENCE)
    await new Promise((resolve) => setTimeout(resolve, TIMEOUT + 1_500))
    expect(session.events.filter(({ type }) => type === 'session_status_update')).toHaveLength(1)
  },
  60_000,
)

test.each(BUSES)(
  '%s use puts the end off, and a long task is no idleness',
  async (_where, bus) => {
    const slow: Runtime = {
      run: async () => {
        await new Promise((resolve) => setTimeout(resolve, TIMEOUT + 1_500))
        return { output: 'slow' }
      },
    }
    const cluster = await WorkerCluster.start({ ...bus, runtimeOf: () => slow, sessionTimeoutMs: TIMEOUT })
    await cluster.takeOver('worker-1')
    const session = await cluster.spawn('llm', { description: 'slow' })

    await session.event('task_completed')

    expect(session.events.map(({ type }) => type)).not.toContain('session_status_update')
    await session.event('session_status_update')
  },
  60_000,
)

test.each(BUSES)(
  '%s a next owner completes the sessions that it never had to load',
  async (_where, bus) => {
    const cluster = await WorkerCluster.start({ ...bus, runtimeOf: () => echo, sessionTimeoutMs: TIMEOUT })
    await cluster.takeOver('worker-1')
    const session = await cluster.spawn('echo', { description: 'first' })
    await session.event('task_completed')

    await cluster.takeOver('worker-2')

    expect((await session.event('session_status_update')).session.status).toBe('completed')
  },
  60_000,
)

test.each(BUSES)(
  '%s a session that rests in PostgreSQL alone is completed when its time has come',
  async (_where, bus) => {
    const options = { ...bus, runtimeOf: () => echo, sessionTimeoutMs: TIMEOUT, hibernateAfterMs: 300 }
    const cluster = await WorkerCluster.start(options)
    await cluster.takeOver('worker-1')
    const session = await cluster.spawn('echo', { description: 'first' })
    await session.event('task_completed')
    await session.unwatch()
    await vi.waitFor(async () => expect(await cluster.bus.log.peek(session.id)).toBeUndefined(), PATIENCE)

    const stored = async () => (await new Sessions(cluster.database).find(session.id))?.status
    await vi.waitFor(async () => expect(await stored()).toBe('completed'), PATIENCE)
  },
  60_000,
)
