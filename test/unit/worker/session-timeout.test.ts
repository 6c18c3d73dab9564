/**
 * When a session is completed because nobody used it, whatever its timer says and whoever had it before.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Claim, Timer } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { SessionTimeout } from '../../../src/worker/session-timeout.js'

const TIMEOUT = 600_000
const claim: Claim = { shard: 1, owner: 'worker@1', epoch: 3 }
const sessionId = newSessionId(1)
const timeoutTimer = (note: string): Timer => ({ sessionId, name: 'timeout', note })

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** Timers whose time is this test's, and a session that is idle for `idleMs`, or not in the heap. */
function fixture(
  options: { idleMs?: number; completed?: boolean | undefined; pinned?: boolean; fails?: boolean } = {},
) {
  const set = vi.fn(async (_claim: Claim, _timer: Timer, _inMs: number) => ({ status: 'ok' }) as const)
  const clear = vi.fn(async () => ({ status: 'ok' }) as const)
  const complete = vi.fn(async () => {
    if (options.fails) throw new Error('the store is away')
    return ('completed' in options ? options.completed : true) as boolean | undefined
  })
  const due: Timer[] = []
  const wake = vi.fn(async () => undefined)
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const timeout = new SessionTimeout({
    timers: { set, clear, due: async () => [{ claim, reply: { status: 'ok', timers: due.splice(0) } }] },
    host: { idleFor: () => options.idleMs, complete },
    owned: () => new Map([[1, claim]]),
    isPinned: () => options.pinned === true,
    ...{ wake, timeoutMs: TIMEOUT, logger },
  })
  timeout.start()
  const fire = async (note: string) => {
    due.push(timeoutTimer(note))
    await vi.advanceTimersByTimeAsync(1_000)
    await timeout.stop()
    timeout.start()
  }
  const moves = () => set.mock.calls.map(([, { note }, inMs]) => [note, inMs])
  return { timeout, fire, set, clear, complete, wake, moves, due }
}

test('a session that comes into the heap has the whole time before it', () => {
  const { timeout, moves } = fixture()
  timeout.awake(claim, sessionId)
  expect(moves()).toEqual([['awake', TIMEOUT]])
})

test('one that leaves the heap has what its idleness has left of it, and one that has ended has no timer', () => {
  const { timeout, moves, clear } = fixture()
  timeout.idle(claim, sessionId, { forMs: 60_000, status: 'active' })
  timeout.idle(claim, sessionId, { forMs: 60_000, status: 'terminated' })
  expect(moves()).toEqual([['idle', TIMEOUT - 60_000]])
  expect(clear).toHaveBeenCalledTimes(1)
})

test('a timer that goes off early is moved to where it should be', async () => {
  const { fire, moves, complete } = fixture({ idleMs: 1_000 })
  await fire('awake')
  expect(moves()).toEqual([['awake', TIMEOUT - 1_000]])
  expect(complete).not.toHaveBeenCalled()
})

test('a session that is idle for long enough is completed, and its timer cleared after that', async () => {
  const { fire, clear, complete } = fixture({ idleMs: TIMEOUT })
  await fire('awake')
  expect(complete.mock.invocationCallOrder[0]).toBeLessThan(clear.mock.invocationCallOrder[0] ?? 0)
})

test('one that left the heap and did not come back is completed', async () => {
  const { fire, clear } = fixture()
  await fire('idle')
  expect(clear).toHaveBeenCalledTimes(1)
})

test('a session whose owner was lost while it was awake gets the whole time once more', async () => {
  const { fire, moves, complete } = fixture()
  await fire('awake')
  expect(moves()).toEqual([['idle', TIMEOUT]])
  expect(complete).not.toHaveBeenCalled()
})

test('a session that got work at the last moment is left alone', async () => {
  const { fire, moves, clear } = fixture({ completed: false })
  await fire('idle')
  expect(moves()).toEqual([['awake', TIMEOUT]])
  expect(clear).not.toHaveBeenCalled()
})

test('a session that another worker still writes is not touched', async () => {
  const { fire, moves, complete } = fixture({ pinned: true })
  await fire('idle')
  expect(moves()).toEqual([['awake', 10_000]])
  expect(complete).not.toHaveBeenCalled()
})

test('an end that could not be recorded is tried again', async () => {
  const { fire, moves, clear } = fixture({ fails: true })
  await fire('idle')
  expect(moves()).toEqual([['idle', 10_000]])
  expect(clear).not.toHaveBeenCalled()
})

test('a session that rests elsewhere is asked for, a bounded number of times', async () => {
  const { fire, moves, wake, clear } = fixture({ completed: undefined })
  await fire('idle')
  expect(moves()).toEqual([['waking 1', 10_000]])
  expect(wake).toHaveBeenCalledTimes(1)
  await fire('waking 90')
  expect(wake).toHaveBeenCalledTimes(1)
  expect(clear).toHaveBeenCalledTimes(1)
})

test('a session that came back is completed at once', async () => {
  const { fire, complete, clear } = fixture()
  complete.mockResolvedValueOnce(undefined)
  await fire('idle')
  expect(complete).toHaveBeenCalledTimes(2)
  expect(clear).toHaveBeenCalledTimes(1)
})

test('many that fall due together are completed some at a time', async () => {
  const { timeout, due, complete } = fixture()
  for (let n = 0; n < 100; n++) due.push({ ...timeoutTimer('idle'), sessionId: newSessionId(1) })
  await vi.advanceTimersByTimeAsync(1_000)
  await timeout.stop()
  expect(complete).toHaveBeenCalledTimes(64)
})
