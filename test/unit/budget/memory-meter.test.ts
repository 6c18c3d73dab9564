/**
 * What time does to counts, with a clock that the test holds; what else a meter promises stands in the contract suite.
 */
import { expect, test } from 'vitest'
import { MemoryMeter } from '../../../src/budget/memory-meter.js'
import type { Reservation, Reserved } from '../../../src/budget/meter.js'

const HOUR_MS = 3_600_000
const LIMITS = [{ scope: 'orchestrator', id: 'orch', period: 'daily', tokens: 1_000 }] as const

function fixture(at: string) {
  const clock = { now: Date.parse(at) }
  const meter = new MemoryMeter(() => clock.now)
  const call = (place: string): Reservation => ({
    ...{ tenant: 'acme', place, attempt: 'a', want: 5_000, least: 1, ttlMs: HOUR_MS, limits: LIMITS },
    ledger: { has: () => true, get: () => 0 } as unknown as Reservation['ledger'],
  })
  const settle = (place: string, tokens: number, by: Reserved) => {
    if (by.status !== 'granted') throw new Error(by.status)
    return meter.settle({ tenant: 'acme', place, attempt: 'a', tokens, windows: by.windows, thresholds: [50, 100] })
  }
  return { clock, meter, call, settle }
}

test('a spent day is over at midnight in UTC, and each of its thresholds is told anew', async () => {
  const { clock, meter, call, settle } = fixture('2026-11-27T23:00:00Z')
  const first = await settle('one', 1_000, await meter.reserve(call('one')))
  expect(first.crossed.map(({ threshold }) => threshold)).toEqual([50, 100])
  expect(await meter.reserve(call('two'))).toMatchObject({ status: 'spent', window: { end: Date.parse('2026-11-28') } })

  clock.now = Date.parse('2026-11-28T00:00:00Z')

  const next = await meter.reserve(call('two'))
  expect(next).toMatchObject({ status: 'granted', tokens: 1_000 })
  expect((await settle('two', 600, next)).crossed.map(({ threshold }) => threshold)).toEqual([50])
})

test('a call that begins before midnight counts in the day in which it began', async () => {
  const { clock, meter, call, settle } = fixture('2026-11-27T23:59:59Z')
  const late = await meter.reserve(call('late'))
  clock.now += 10_000

  const settled = await settle('late', 700, late)

  expect(settled.windows).toMatchObject([{ used: 700, held: 0, start: Date.parse('2026-11-27') }])
  expect(await meter.reserve(call('next'))).toMatchObject({ tokens: 1_000, windows: [{ used: 0 }] })
})

test('a settlement that is told again after many minutes is still known', async () => {
  const { clock, meter, call, settle } = fixture('2026-11-27T10:00:00Z')
  const granted = await meter.reserve(call('one'))
  await settle('one', 400, granted)
  clock.now += 10 * 60_000

  expect((await settle('one', 400, granted)).windows).toBeUndefined()
})
