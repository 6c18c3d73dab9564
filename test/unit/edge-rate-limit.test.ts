/**
 * The limit of messages: what a lease gives, who waits for it, and what happens when Redis does not answer.
 */
import { expect, test, vi } from 'vitest'
import { loadConfig } from '../../src/config/load.js'
import { Connection, UNCOUNTED } from '../../src/edge/connection.js'
import { type Admission, Allowance, RateLimit } from '../../src/edge/rate-limit.js'
import type { MessageCounts } from '../../src/edge/shared-counts.js'
import type { SlidingLimit, Taken } from '../../src/redis/message-counts.js'

const WINDOW = { windowMs: 60_000 }

function quietLog() {
  return { info: vi.fn(), warn: vi.fn() }
}

/** What became of `count` messages sent one after the other. */
async function send(allowance: Allowance, count: number): Promise<Admission[]> {
  const answers: Admission[] = []
  for (let message = 0; message < count; message++) answers.push(await allowance.take())
  return answers
}

const passed = (answers: readonly Admission[]): number => answers.filter((answer) => answer === undefined).length

/** A store that counts calls and answers as told. */
function storeOf(answer: (wanted: number, limit: SlidingLimit) => Promise<Taken>) {
  const calls: number[] = []
  const store: MessageCounts = {
    take: (_name, wanted, limit) => {
      calls.push(wanted)
      return answer(wanted, limit)
    },
  }
  return { store, calls }
}

/** A store that works. */
function countingStore() {
  let left = Number.POSITIVE_INFINITY
  return storeOf(async (wanted, { points }) => {
    left = Math.min(left, points)
    const granted = Math.min(wanted, left)
    left -= granted
    return { granted, nextInMs: 60_000 }
  })
}

test('the defaults are 100 messages a minute and 10 connections', () => {
  const { auth } = loadConfig({ flags: {}, env: {}, cwd: '/nonexistent' })

  expect(auth).toMatchObject({
    rateLimitEnabled: true,
    rateLimitMax: 100,
    rateLimitWindowMs: 60_000,
    maxConnections: 10,
  })
})

test('exactly as many messages pass as the limit says, and the next one hears how long to wait', async () => {
  const allowance = new RateLimit({ max: 100, ...WINDOW }, undefined, quietLog()).allowance('acme:alice')

  const answers = await send(allowance, 105)

  expect(passed(answers)).toBe(100)
  expect(answers[100]).toBeGreaterThan(60_000)
  expect(answers[100]).toBeLessThanOrEqual(66_000)
})

test('the count of one principal says nothing about another', async () => {
  const limit = new RateLimit({ max: 2, ...WINDOW }, undefined, quietLog())

  await send(limit.allowance('acme:alice'), 3)

  expect(passed(await send(limit.allowance('acme:bob'), 3))).toBe(2)
})

test('a lease that has ended gives new points', async () => {
  const lease = vi.fn(async () => ({ granted: 1, forMs: 1 }))
  const allowance = new Allowance(lease)

  await allowance.take()
  await vi.waitFor(async () => expect(await allowance.take()).toBeUndefined())

  expect(lease).toHaveBeenCalledTimes(2)
})

test('points that were leased and not spent are worth nothing later', () => {
  const lease = vi.fn(() => new Promise<never>(() => undefined))
  const allowance = new Allowance(lease)

  void allowance.take()
  const later = allowance.take(performance.now() + 61_000)

  expect(later).toBeInstanceOf(Promise)
})

test('at the default every message is counted in the store, and at a high limit one in many', async () => {
  const [narrow, wide] = [countingStore(), countingStore()]
  const strict = new RateLimit({ max: 100, ...WINDOW }, narrow.store, quietLog()).allowance('a:b')
  const generous = new RateLimit({ max: 200_000, ...WINDOW }, wide.store, quietLog()).allowance('a:b')

  await send(strict, 50)
  await send(generous, 5_000)

  expect(narrow.calls).toEqual(Array.from({ length: 50 }, () => 1))
  expect(wide.calls).toEqual([1_000, 1_000, 1_000, 1_000, 1_000])
})

test('while leased points are left, a message passes without waiting for anything', async () => {
  const { store } = countingStore()
  const allowance = new RateLimit({ max: 200_000, ...WINDOW }, store, quietLog()).allowance('a:b')
  await allowance.take()

  expect(allowance.take()).toBeUndefined()
})

test('the last lease gives what is left and no more', async () => {
  const { store } = countingStore()
  const allowance = new RateLimit({ max: 1_050, ...WINDOW }, store, quietLog()).allowance('a:b')

  expect(passed(await send(allowance, 1_200))).toBe(1_050)
})

test('a principal that is refused is not asked about again before some of its messages no longer count', async () => {
  const { store, calls } = countingStore()
  const allowance = new RateLimit({ max: 3, ...WINDOW }, store, quietLog()).allowance('a:b')

  await send(allowance, 50)

  expect(calls).toHaveLength(4)
})

test('many who wait at once share leases, and together get the limit', async () => {
  const { store } = countingStore()
  const allowance = new RateLimit({ max: 100, ...WINDOW }, store, quietLog()).allowance('a:b')

  const answers = await Promise.all(Array.from({ length: 120 }, () => allowance.take()))

  expect(passed(answers)).toBe(100)
})

test('without an answer from Redis this edge counts for itself, and says so once', async () => {
  const { store, calls } = storeOf(async () => {
    throw new Error('connection lost')
  })
  const log = quietLog()
  const allowance = new RateLimit({ max: 10, ...WINDOW }, store, log).allowance('a:b')

  const during = await send(allowance, 12)

  expect(passed(during), 'the same limit').toBe(10)
  expect(calls.length, 'the store is left alone for a while').toBeLessThan(4)
  expect(log.warn).toHaveBeenCalledTimes(1)
})

test('when Redis answers again, it counts again', async () => {
  let now = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => now)
  let fails = true
  const { store, calls } = storeOf(async () => {
    if (fails) throw new Error('connection lost')
    return { granted: 1, nextInMs: 60_000 }
  })
  const log = quietLog()
  const limit = new RateLimit({ max: 10, ...WINDOW }, store, log)

  await limit.allowance('a:b').take()
  fails = false
  now += 1_001
  await limit.allowance('a:b').take()
  await limit.allowance('a:b').take()
  vi.restoreAllMocks()

  expect(calls).toHaveLength(3)
  expect(log.info).toHaveBeenCalledTimes(1)
})

test('a Redis that says nothing delays one message by a quarter of a second, and no other', async () => {
  const { store } = storeOf(() => new Promise(() => undefined))
  const allowance = new RateLimit({ max: 10, ...WINDOW }, store, quietLog()).allowance('a:b')

  const start = performance.now()
  const answers = await send(allowance, 11)

  expect(passed(answers)).toBe(10)
  expect(performance.now() - start).toBeLessThan(1_000)
})

function connectionWith(allowance: Pick<Allowance, 'take'>) {
  const sent: string[] = []
  const done: unknown[] = []
  const socket = {
    send: (frame: string) => sent.push(frame),
    cork: (work: () => void) => work(),
    bufferedBytes: () => 0,
    ping: () => undefined,
    end: () => undefined,
    terminate: () => undefined,
  }
  const connection = new Connection(
    socket,
    { tenant: 't', subject: 's', role: 'user', expiresAt: undefined },
    {
      onMessage: (_, message) => void done.push(message.requestId),
      onRoom: () => undefined,
      metrics: UNCOUNTED,
    },
    allowance,
  )
  return { connection, sent, done }
}

const ping = (requestId: number): string => JSON.stringify({ type: 'ping', requestId })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('messages that wait for a lease keep their order, and none is carried out before it may be', async () => {
  let grant = (): void => undefined
  const take = vi
    .fn<() => Admission | Promise<Admission>>()
    .mockReturnValueOnce(new Promise((resolve) => (grant = () => resolve(undefined))))
    .mockReturnValue(undefined)
  const { connection, done } = connectionWith({ take })

  for (const id of [1, 2, 3]) connection.receive(ping(id))
  await turn()
  const before = [...done]
  grant()
  await turn()

  expect(before).toEqual([])
  expect(done).toEqual([1, 2, 3])
})

test('messages that wait for a lease are bounded in number and in size', async () => {
  const { connection, sent } = connectionWith({ take: () => new Promise(() => undefined) })

  for (let id = 0; id < 1_100; id++) connection.receive(ping(id))
  await turn()
  const refused = sent.length
  const { connection: other, sent: large } = connectionWith({ take: () => new Promise(() => undefined) })
  for (let id = 0; id < 7; id++)
    other.receive(JSON.stringify({ type: 'ping', requestId: id, auth: { token: 'x'.repeat(2 ** 20) } }))
  await turn()

  expect(refused).toBe(1_100 - 1 - 1_024)
  expect(large.map((frame) => (JSON.parse(frame) as { code: string }).code)).toEqual(['busy', 'busy', 'busy'])
})

test('a message that is refused is not carried out, is answered with its id, and the next one that may passes', async () => {
  const take = vi.fn<() => Admission>().mockReturnValueOnce(1_500).mockReturnValue(undefined)
  const { connection, sent, done } = connectionWith({ take })

  connection.receive(ping(1))
  connection.receive(ping(2))
  await turn()

  expect(sent.map((frame) => JSON.parse(frame))).toEqual([
    {
      type: 'error',
      error: 'rate_limit_exceeded',
      code: 'rate_limit_exceeded',
      retryable: true,
      requestId: 1,
      retryAfterMs: 1_500,
    },
  ])
  expect(done).toEqual([2])
})

test('what a client says wrong counts as a message', async () => {
  const take = vi.fn<() => Admission>().mockReturnValue(1_000)
  const { connection, sent } = connectionWith({ take })

  connection.receive('not json')
  connection.receiveOversize(10)
  await turn()

  expect(sent.map((frame) => (JSON.parse(frame) as { code: string }).code)).toEqual([
    'rate_limit_exceeded',
    'rate_limit_exceeded',
  ])
})

test('a limit that changes counts for who is here, with what was sent in the window; without one nobody is refused', async () => {
  const limit = new RateLimit({ max: 3, ...WINDOW }, undefined, quietLog())
  const allowance = limit.allowance('acme:alice')
  expect(passed(await send(allowance, 5))).toBe(3)

  limit.adopt({ max: 6, ...WINDOW })
  expect(passed(await send(allowance, 5))).toBe(3)
  limit.adopt(undefined)
  expect(passed(await send(allowance, 50))).toBe(50)
  limit.adopt({ max: 6, ...WINDOW })
  expect(passed(await send(allowance, 5))).toBe(0)
})

test('who had no limit at first has one from then on', async () => {
  const limit = new RateLimit(undefined, undefined, quietLog())
  const allowance = limit.allowance('acme:alice')
  expect(passed(await send(allowance, 50))).toBe(50)

  limit.adopt({ max: 2, ...WINDOW })

  expect(passed(await send(allowance, 5))).toBe(2)
})
