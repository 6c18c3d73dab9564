/**
 * Calls to the store fail, happen and time out, or happen twice: commands end once and in order all the same.
 */
import { expect, test, vi } from 'vitest'
import { Echo } from '../../src/runtimes/echo.js'
import { type FailingBus, failingBus } from '../support/failing-bus.js'
import { seededRandom } from '../support/random.js'
import { type TestSession, WorkerCluster } from '../support/worker-cluster.js'

const SESSIONS = 4
const COMMANDS = 30
/** So often that every kind of call meets one, and seldom enough that the run ends. */
const ONE_IN = 6

const stores = [
  ['this process', undefined],
  ['Redis', process.env.TEST_REDIS_URL],
] as const

test.each(stores)('in %s, commands end once and in order while calls to the store fail', async (_where, redisUrl) => {
  const random = seededRandom('store failpoints')
  const points: FailingBus[] = []
  const cluster = await WorkerCluster.start({
    runtimeOf: () => new Echo(),
    ...(redisUrl !== undefined && { redisUrl }),
    workerBus: (bus) => {
      const failing = failingBus(bus, random, ONE_IN)
      points.push(failing)
      return failing.bus
    },
  })
  await cluster.takeOver('worker-1')
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, (_, n) => cluster.spawn('echo', { description: `hello ${n}` })),
  )
  const given = sessions.map((): string[] => [])
  for (let n = 0; n < COMMANDS; n++) {
    for (const [index, session] of sessions.entries()) {
      // Every third one streams, so that text is flushed too.
      const description = n % 3 === 0 ? '{"count":5,"bytes":8,"delayMs":2}' : `task ${n}`
      given[index]?.push((await session.execute({ description })).id)
    }
  }

  await vi.waitFor(
    () => {
      for (const session of sessions) expect(ends(session)).toHaveLength(COMMANDS + 1)
    },
    { timeout: 50_000 },
  )

  for (const [index, session] of sessions.entries()) {
    expect(ends(session).slice(1)).toEqual(given[index])
    expect(sequence(session)).toEqual(session.events.map((_, at) => at + 1))
  }
  const [{ done } = { done: new Map<string, Set<string>>() }] = points
  expect([...done.keys()]).toEqual(expect.arrayContaining(['commit', 'flush']))
  expect([...(done.get('commit') ?? [])]).toContain('late')
})

const ends = ({ events }: TestSession): string[] =>
  events.flatMap((event) => (event.type === 'task_completed' ? [event.taskId] : []))

const sequence = ({ events }: TestSession): number[] => events.map(({ eventId }) => Number(eventId.split('-')[1]))
