/**
 * For how long text is gathered, by how late it is kept. The clock is the test's.
 */
import { expect, test } from 'vitest'
import { FlushInterval, MAX_INTERVAL_MS, MIN_INTERVAL_MS } from '../../../src/worker/flush-interval.js'

const BUSY_MS = 20
/** Neither calm nor busy. */
const BETWEEN_MS = 4
const CALM_MS = 1

function fixture() {
  const time = { now: 100_000 }
  const interval = new FlushInterval(() => time.now)
  /** Flushes every 10 ms, each so late. */
  const stream = (forMs: number, lateMs: number) => {
    for (const until = time.now + forMs; time.now < until; time.now += 10) interval.kept(lateMs)
    return interval.ms
  }
  return { time, interval, stream }
}

test('a worker at ease gathers as shortly as it may', () => {
  const { stream } = fixture()

  expect(stream(60_000, CALM_MS)).toBe(MIN_INTERVAL_MS)
})

test('text that is kept late is gathered longer within some seconds, and never longer than the bound', () => {
  const { stream } = fixture()

  const first = stream(1_500, BUSY_MS)

  expect(first).toBeGreaterThan(MIN_INTERVAL_MS)
  expect(first).toBeLessThan(MAX_INTERVAL_MS)
  expect(stream(3_000, BUSY_MS)).toBe(MAX_INTERVAL_MS)
  expect(stream(60_000, BUSY_MS)).toBe(MAX_INTERVAL_MS)
})

test('between calm and busy the interval stays where it is', () => {
  const { stream } = fixture()
  stream(1_500, BUSY_MS)
  // The half second that was busy is judged when it is over.
  const raised = stream(1_000, BETWEEN_MS)

  expect(stream(10_000, BETWEEN_MS)).toBe(raised)
  expect(raised).toBeGreaterThan(MIN_INTERVAL_MS)
})

test('it falls step by step once there is calm', () => {
  const { stream } = fixture()
  stream(5_000, BUSY_MS)

  const seen = Array.from({ length: 30 }, () => stream(1_000, CALM_MS))

  expect(seen).toEqual(seen.toSorted((a, b) => b - a))
  expect(new Set(seen).size).toBeGreaterThan(5)
  expect(seen.at(-1)).toBe(MIN_INTERVAL_MS)
})

test('a store that is far away does not keep an interval up for ever', () => {
  const { stream } = fixture()
  stream(5_000, BUSY_MS)

  expect(stream(300_000, BETWEEN_MS)).toBe(MIN_INTERVAL_MS)
})

test('one stall moves nothing', () => {
  const { interval, stream } = fixture()
  stream(5_000, CALM_MS)

  interval.kept(150)

  expect(stream(1_000, CALM_MS)).toBe(MIN_INTERVAL_MS)
})

test('after a pause nothing is known of the load', () => {
  const { time, interval, stream } = fixture()
  stream(5_000, BUSY_MS)

  time.now += 60_000
  interval.kept(BUSY_MS)

  expect(interval.ms).toBe(MIN_INTERVAL_MS)
})
