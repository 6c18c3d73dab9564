/**
 * The window of the limit of messages slides: compared with every message that was let through, kept one by one.
 */
import { expect, test } from 'vitest'
import { SlidingWindow } from '../../src/edge/sliding-window.js'
import { seededRandom } from '../support/random.js'

const SLICE_MS = 100
/** Two more than make up the window of 1 s: a window may begin within a slice, and leases hold for one. */
const LIMIT = { points: 10, sliceMs: SLICE_MS, slices: 12 }
const WINDOW_MS = 1_000

test('no second sees more than the limit, wherever it begins, and a lease may be spent a slice later', () => {
  const random = seededRandom('sliding window')
  const window = new SlidingWindow()
  const spent: number[] = []

  let now = 0
  for (let step = 0; step < 20_000; step++) {
    now += random.next() < 0.1 ? random.next() * 2 * WINDOW_MS : random.next() * 30
    const { granted } = window.take('alice', random.integer(1, 4), LIMIT, now)
    for (let point = 0; point < granted; point++) spent.push(now + random.next() * SLICE_MS)
  }

  const times = [...spent].sort((a, b) => a - b)
  const crowded = times.filter((from, index) => (times[index + LIMIT.points] ?? Infinity) < from + WINDOW_MS)
  expect(times.length).toBeGreaterThan(1_000)
  expect(crowded).toEqual([])
})

test('what was taken at the end of a second does not come back at the beginning of the next', () => {
  const window = new SlidingWindow()

  const late = window.take('alice', 10, LIMIT, 990)

  expect(late.granted).toBe(10)
  expect(window.take('alice', 10, LIMIT, 1_010)).toEqual({ granted: 0, nextInMs: 2_100 - 1_010 })
  expect(window.take('alice', 10, LIMIT, 1_995).granted).toBe(0)
})

test('whoever waits as long as it was told gets points again, and all of them when it was silent', () => {
  const window = new SlidingWindow()
  window.take('alice', 4, LIMIT, 50)
  window.take('alice', 6, LIMIT, 450)

  const { nextInMs } = window.take('alice', 1, LIMIT, 500)

  expect(window.take('alice', 10, LIMIT, 500 + nextInMs - 1).granted).toBe(0)
  expect(window.take('alice', 10, LIMIT, 500 + nextInMs).granted).toBe(4)
  expect(window.take('alice', 10, LIMIT, 50_000).granted).toBe(10)
})

test('names do not share, and those that are silent are forgotten', () => {
  const window = new SlidingWindow()
  for (let name = 0; name < 100; name++) expect(window.take(`n${name}`, 10, LIMIT, 0).granted).toBe(10)

  const before = window.size
  window.take('later', 1, LIMIT, 2_000)

  expect([before, window.size]).toEqual([100, 1])
})

test('of too many names the one that was silent longest is forgotten', () => {
  const window = new SlidingWindow(3)
  for (const name of ['a', 'b', 'c', 'a', 'd']) window.take(name, 10, LIMIT, 1)

  expect(window.size).toBe(3)
  expect(window.take('a', 1, LIMIT, 2).granted, 'was heard of later than b').toBe(0)
  expect(window.take('b', 1, LIMIT, 2).granted).toBe(1)
})

test('a limit with slices of another length begins anew instead of counting what it cannot place', () => {
  const window = new SlidingWindow()
  window.take('alice', 10, LIMIT, 1_000_000)

  const coarser = { ...LIMIT, sliceMs: 1_000 }

  expect(window.take('alice', 10, coarser, 1_000_001).granted).toBe(10)
  expect(window.take('alice', 10, LIMIT, 1_000_002).granted).toBe(10)
})
