/**
 * Where the windows of budgets begin and end.
 */
import { expect, test } from 'vitest'
import { type Period, windowOf } from '../../../src/budget/periods.js'

const boundsAt = (period: Period, at: string) => {
  const { start, end } = windowOf({ scope: 'tenant', id: 'acme', period, tokens: 1 }, Date.parse(at))
  return [new Date(start).toISOString().slice(0, 16), new Date(end).toISOString().slice(0, 16)]
}

test.each<[Period, string, string, string]>([
  ['hourly', '2026-11-27T03:59:59.999Z', '2026-11-27T03:00', '2026-11-27T04:00'],
  ['daily', '2026-11-27T00:00:00.000Z', '2026-11-27T00:00', '2026-11-28T00:00'],
  ['daily', '2026-11-26T23:59:59.999Z', '2026-11-26T00:00', '2026-11-27T00:00'],
  ['weekly', '2026-11-29T23:59:59.999Z', '2026-11-23T00:00', '2026-11-30T00:00'],
  ['weekly', '2026-11-30T00:00:00.000Z', '2026-11-30T00:00', '2026-12-07T00:00'],
  ['monthly', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00', '2027-01-01T00:00'],
  ['monthly', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00', '2028-03-01T00:00'],
])('B-01, B-06: %s at %s is from %s to %s, in UTC', (period, at, start, end) => {
  expect(boundsAt(period, at)).toEqual([start, end])
})

test('a session has one window for its whole life', () => {
  const limit = { scope: 'session', id: 's1', period: 'session', tokens: 1 } as const
  expect(windowOf(limit, 0)).toEqual(windowOf(limit, Date.now()))
})

test('each window has a name of its own', () => {
  const names = (['hourly', 'daily', 'weekly', 'monthly'] as const).flatMap((period) =>
    (['orchestrator', 'tenant'] as const).flatMap((scope) =>
      ['a', 'b'].flatMap((id) =>
        ['2026-11-01T00:00Z', '2026-12-14T01:00Z'].map(
          (at) => windowOf({ scope, id, period, tokens: 1 }, Date.parse(at)).name,
        ),
      ),
    ),
  )
  expect(new Set(names).size).toBe(names.length)
})
