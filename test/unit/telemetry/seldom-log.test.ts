/**
 * What goes wrong a thousand times at once is written down once.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SeldomLog } from '../../../src/telemetry/seldom-log.js'

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => vi.useRealTimers())

test('a sentence is written at once, then every five seconds with how often it was meant, each for itself', () => {
  const warn = vi.fn()
  const log = new SeldomLog({ warn })

  for (let n = 0; n < 1_000; n++) log.warn({ n }, 'not sent')
  log.warn({}, 'not read')
  vi.advanceTimersByTime(5_000)
  log.warn({ n: 1_000 }, 'not sent')
  vi.advanceTimersByTime(5_000)
  log.warn({ n: 1_001 }, 'not sent')

  expect(warn.mock.calls).toEqual([
    [{ n: 0 }, 'not sent'],
    [{}, 'not read'],
    [{ n: 1_000, timesBefore: 999 }, 'not sent'],
    [{ n: 1_001 }, 'not sent'],
  ])
})
