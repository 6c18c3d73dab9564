/**
 * How the largest number of streaming sessions is looked for, and how late a flush is.
 */
import { expect, test } from 'vitest'
import { search } from '../../loadtest/scenarios/streams.js'
import { ageMs, PIECE_CHARS, pieceAt } from '../../loadtest/streams/piece.js'
import { StreamMeter } from '../../loadtest/streams/stream-meter.js'
import { seededRandom } from '../support/random.js'

test('the largest number that goes well is known to a tenth, and few are tried', async () => {
  const random = seededRandom('streams search')
  for (let round = 0; round < 200; round++) {
    const limit = random.integer(1, 5_000)
    const tried: number[] = []

    const found = await search(100, async (sessions) => {
      tried.push(sessions)
      return sessions <= limit
    })

    expect(found).toBeLessThanOrEqual(limit)
    expect(limit - found).toBeLessThanOrEqual(Math.max(20, found * 0.12))
    expect(tried.length).toBeLessThan(16)
  }
})

test('what always goes well is not doubled for ever', async () => {
  expect(await search(100, async () => true)).toBe(6_400)
})

test('a piece tells for how long it was under way', () => {
  const piece = pieceAt(1_000)

  expect(piece).toHaveLength(PIECE_CHARS)
  expect(ageMs(`before ${piece}after`, 7, 1_012.5)).toBeCloseTo(12.5, 2)
  expect(ageMs(piece, 0, 1_000)).toBeCloseTo(0, 2)
})

test('a flush is as late as its first piece, less the time for which it was held back', () => {
  const meter = new StreamMeter()
  const now = performance.now()
  const text = pieceAt(now - 60) + pieceAt(now - 10)

  meter.flushed(`"${text}"`, 1, 1 + text.length, 50)

  const report = meter.report()
  expect(report).toMatchObject({ flushes: 1, pieces: 2, faults: [] })
  expect(report.whole.max).toBeGreaterThanOrEqual(60)
  expect(report.added.max).toBeGreaterThanOrEqual(10)
  expect(report.added.max).toBeLessThan(report.whole.max - 49)
})

test('text that no model wrote is a fault', () => {
  const meter = new StreamMeter()

  meter.flushed('abc', 0, 3, 0)

  expect(meter.report().faults).toHaveLength(1)
  expect(meter.report().faults).toEqual([])
})
