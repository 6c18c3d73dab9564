/**
 * When gathered text goes out, and what is said of it. The clock is the test's.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type GatheredText, TEXT_CHARS, TextBuffer } from '../../../src/worker/text-buffer.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Takes what is due, and notes when. */
function fixture(intervalMs = 20) {
  const interval = { ms: intervalMs }
  const taken: (GatheredText & { readonly at: number })[] = []
  const startedAt = performance.now()
  const buffer = new TextBuffer(interval, () => {
    const text = buffer.take(false)
    if (text) taken.push({ ...text, at: performance.now() - startedAt })
  })
  const out = () => taken.map(({ text, at, pieces, gatheredMs }) => ({ text, at, pieces, gatheredMs }))
  return { buffer, interval, taken, out }
}

test('W-52: the first piece after a pause goes out at once, the next ones together after the interval', () => {
  const { buffer, out } = fixture()

  buffer.add('a')
  vi.advanceTimersByTime(5)
  buffer.add('b')
  vi.advanceTimersByTime(5)
  buffer.add('c')
  vi.advanceTimersByTime(100)
  buffer.add('d')

  expect(out()).toEqual([
    { text: 'a', at: 0, pieces: 1, gatheredMs: 0 },
    { text: 'bc', at: 20, pieces: 2, gatheredMs: 15 },
    { text: 'd', at: 110, pieces: 1, gatheredMs: 0 },
  ])
})

test('an interval that has grown holds for what comes then, and not for what waits', () => {
  const { buffer, interval, out } = fixture()

  buffer.add('a')
  buffer.add('b')
  interval.ms = 100
  vi.advanceTimersByTime(20)
  buffer.add('c')
  vi.advanceTimersByTime(100)

  expect(out().map(({ text, at }) => [text, at])).toEqual([
    ['a', 0],
    ['b', 20],
    ['c', 120],
  ])
})

test('a loop that is late is not taken for gathering', () => {
  const { buffer, taken } = fixture()
  const times = [0, 5, 65]
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => times[0] ?? 0)
  buffer.add('a')
  times.shift()
  buffer.add('b')

  times.shift()
  vi.advanceTimersToNextTimer()

  expect(taken.at(-1)).toMatchObject({ text: 'b', dueAt: 20, gatheredMs: 15 })
  clock.mockRestore()
})

test('long text does not wait', () => {
  const { buffer, out } = fixture(100)
  buffer.add('a')

  buffer.add('x'.repeat(TEXT_CHARS))

  expect(out()).toHaveLength(2)
})

test('what is taken before it is due was gathered for as long as it waited', () => {
  const { buffer, out } = fixture(100)
  buffer.add('a')
  buffer.add('b')
  vi.advanceTimersByTime(30)

  expect(buffer.take(true)).toMatchObject({ text: 'b', gatheredMs: 30, dueAt: performance.now() })
  vi.advanceTimersByTime(100)

  expect(out()).toHaveLength(1)
})

test('half of a character waits, except at the end', () => {
  const { buffer, out } = fixture()
  const [high = '', low = ''] = '😀'.split('')

  buffer.add(`a${high}`)
  expect(buffer.take(false)).toBeUndefined()
  buffer.add(low)
  vi.advanceTimersByTime(20)
  buffer.add(high)
  expect(buffer.take(false)).toBeUndefined()

  expect(out().map(({ text }) => text)).toEqual(['a', '😀'])
  expect(buffer.take(true)).toMatchObject({ text: high })
})
