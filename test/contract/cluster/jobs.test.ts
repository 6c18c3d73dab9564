/**
 * What background jobs promise, on BullMQ (one Redis, Redis Cluster) and on timers alike.
 */
import { randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { BullJobs } from '../../../src/coordinator/jobs/bull-jobs.js'
import { HibernateJob } from '../../../src/coordinator/jobs/hibernate.js'
import { LeaderJobs } from '../../../src/coordinator/jobs/leader-jobs.js'
import { TimerJobs } from '../../../src/coordinator/jobs/timer-jobs.js'
import { ATTEMPTS, type Job, type Jobs, type JobsOptions } from '../../../src/coordinator/jobs.js'
import { connectPatient, disconnect, type RedisConfig } from '../../../src/redis/connect.js'
import { jobsPrefix } from '../../../src/redis/keys.js'
import type { Leadership } from '../../../src/storage/leader.js'
import { memoryLog, redisAt } from './plane.js'

const WAIT = { timeout: 20_000, interval: 10 }
const EVERY_MS = 100

type Open = (options: JobsOptions, cluster: string) => Jobs

const onBull =
  (redis: () => RedisConfig): Open =>
  (options, cluster) =>
    new BullJobs({
      ...options,
      prefix: jobsPrefix(cluster),
      connect: () => connectPatient(redis(), () => undefined),
      disconnect,
    })

const clusterNodes = process.env.TEST_REDIS_CLUSTER_URLS?.split(',').map((url) => new URL(url).host)
const KINDS: readonly (readonly [string, Open])[] = [
  ['timers', (options) => new TimerJobs(options)],
  ['BullMQ', onBull(() => redisAt(process.env.TEST_REDIS_URL ?? ''))],
  ...(clusterNodes
    ? [['BullMQ on Redis Cluster', onBull(() => ({ ...redisAt(''), url: undefined, clusterNodes }))] as const]
    : []),
]

describe.each(KINDS)('%s', (_name, open) => {
  function fixture(run: Job['run'], cluster = `jobs-${randomUUID().slice(0, 8)}`, everyMs = EVERY_MS) {
    const state = { current: 1 }
    const ended = vi.fn()
    const log = memoryLog()
    const job: Job = { name: 'rollup', everyMs, run }
    const isCurrent = async ({ term }: Leadership) => term === state.current
    const jobs = open({ jobs: [job], isCurrent, metrics: { ended }, log, firstRetryMs: 20 }, cluster)
    onTestFinished(() => jobs.yield())
    const count = (outcome: string) => ended.mock.calls.filter((call) => call[1] === outcome).length
    return { jobs, state, count, log, cluster }
  }

  const lead = (jobs: Jobs, term = 1) => jobs.lead({ holder: 'leader@1', term })

  test('a job is done again and again until its process leads no more', async () => {
    const run = vi.fn(async () => undefined)
    const { jobs, count } = fixture(run)

    await lead(jobs)
    await vi.waitFor(() => expect(count('done')).toBeGreaterThanOrEqual(3), WAIT)
    await jobs.yield()
    const done = run.mock.calls.length
    await new Promise((resolve) => setTimeout(resolve, 5 * EVERY_MS))

    expect(run.mock.calls.length).toBe(done)
  })

  test('what fails is tried again after growing pauses', async () => {
    const at: number[] = []
    const { jobs, count, log } = fixture(
      async () => {
        at.push(performance.now())
        if (at.length < ATTEMPTS) throw new Error('not now')
        // Seldom, so that the next occurrence does not come between the attempts of this one.
      },
      undefined,
      3_000,
    )

    await lead(jobs)
    await vi.waitFor(() => expect(count('done')).toBeGreaterThanOrEqual(1), WAIT)

    expect(count('failed')).toBe(ATTEMPTS - 1)
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(18)
    expect((at[3] ?? 0) - (at[2] ?? 0)).toBeGreaterThanOrEqual(75)
    expect(log.lines.join('\n')).toContain('a background job failed')
  })

  test('a job of a term that is over is refused, and not tried again', async () => {
    const run = vi.fn(async () => undefined)
    const { jobs, state, count } = fixture(run)
    state.current = 2

    await lead(jobs, 1)
    await vi.waitFor(() => expect(count('refused')).toBeGreaterThanOrEqual(1), WAIT)

    expect(run).not.toHaveBeenCalled()
    expect(count('failed')).toBe(0)
  })

  test('the next leader goes on in its own term', async () => {
    const run = vi.fn(async () => undefined)
    const former = fixture(run)
    await lead(former.jobs, 1)
    await vi.waitFor(() => expect(run).toHaveBeenCalled(), WAIT)
    await former.jobs.yield()
    const next = fixture(run, former.cluster)
    next.state.current = 2

    await lead(next.jobs, 2)

    await vi.waitFor(() => expect(next.count('done')).toBeGreaterThanOrEqual(2), WAIT)
  })

  test('a process that leads no more tells the job under way, and waits for it', async () => {
    const seen: boolean[] = []
    const began = vi.fn()
    const { jobs } = fixture(async (signal) => {
      began()
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      seen.push(signal.aborted)
    })
    await lead(jobs)
    await vi.waitFor(() => expect(began).toHaveBeenCalled(), WAIT)

    await jobs.yield()

    expect(seen).toEqual([true])
  })
})

describe('the jobs of a leader', () => {
  const term = (number: number): Leadership => ({ holder: 'leader@1', term: number })

  test('follow the last word on who leads, and begin again while they fail', async () => {
    const led: number[] = []
    let failures = 1
    const jobs: Jobs = {
      lead: async ({ term: number }) => {
        if (failures-- > 0) throw new Error('Redis is away')
        led.push(number)
      },
      yield: vi.fn(async () => undefined),
    }
    const log = memoryLog()
    const leader = new LeaderJobs(jobs, log)

    leader.follow(term(1))
    await vi.waitFor(() => expect(led).toEqual([1]), WAIT)
    leader.follow(undefined)
    leader.follow(term(2))
    await vi.waitFor(() => expect(led).toEqual([1, 2]), WAIT)
    await leader.stop()

    expect(log.lines.join('\n')).toContain('background jobs cannot begin')
    expect(jobs.yield).toHaveBeenCalled()
  })
})

describe('hibernation', () => {
  test('is asked of every worker until each has answered', async () => {
    const asked: string[] = []
    const job = new HibernateJob({
      id: 'leader@1',
      workers: () => ['a@1', 'b@1'],
      control: {
        send: async (to, message) => {
          asked.push(to)
          if (message.type !== 'hibernate') throw new Error('another word')
          const isLost = to === 'b@1' && asked.filter((it) => it === to).length === 1
          if (!isLost) job.acknowledged(to, message.request)
        },
      },
    })

    await job.run(new AbortController().signal)

    expect(asked).toEqual(['a@1', 'b@1', 'b@1'])
  })

  test('ends at once when its leader leads no more', async () => {
    const ending = new AbortController()
    const job = new HibernateJob({
      id: 'leader@1',
      workers: () => ['a@1'],
      control: { send: async () => ending.abort() },
    })

    await job.run(ending.signal)

    expect(ending.signal.aborted).toBe(true)
  })
})
