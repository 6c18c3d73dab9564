/**
 * When repeated tasks run: time zones and their changes of the clock, missed runs, and patterns that are refused.
 */
import { expect, test } from 'vitest'
import { catchUp, firstRun, nextRun } from '../../../src/scheduling/cron.js'

const at = (text: string): Date => new Date(text)
const MINUTE_MS = 60_000

test('a pattern is read in its time zone, in summer and in winter', () => {
  const daily = { cron: '0 9 * * *', timezone: 'Europe/Berlin' }

  expect(nextRun(daily, at('2026-07-01T00:00:00Z'))).toEqual(at('2026-07-01T07:00:00Z'))
  expect(nextRun(daily, at('2026-12-01T00:00:00Z'))).toEqual(at('2026-12-01T08:00:00Z'))
})

test('a time that the clock passes twice runs once', () => {
  const nightly = { cron: '30 2 * * *', timezone: 'Europe/Berlin' }
  const first = nextRun(nightly, at('2026-10-24T22:30:00Z')) ?? at('')

  expect(first.getTime()).toBeGreaterThanOrEqual(at('2026-10-25T00:30:00Z').getTime())
  expect(nextRun(nightly, first)).toEqual(at('2026-10-26T01:30:00Z'))
})

test('of several occurrences that are due the latest runs, and the others are counted', () => {
  const hourly = { cron: '0 * * * *', timezone: 'UTC' }

  expect(catchUp(hourly, at('2026-01-01T10:00:00Z'), at('2026-01-01T10:00:01Z'))).toEqual({
    at: at('2026-01-01T10:00:00Z'),
    missed: 0,
  })
  expect(catchUp(hourly, at('2026-01-01T10:00:00Z'), at('2026-01-01T13:30:00Z'))).toEqual({
    at: at('2026-01-01T13:00:00Z'),
    missed: 3,
  })
})

test('an outage of a year is made up for within the bound of what is counted', () => {
  const everyMinute = { cron: '* * * * *', timezone: 'UTC' }
  const { at: latest, missed } = catchUp(everyMinute, at('2025-01-01T00:00:00Z'), at('2026-01-01T00:00:00Z'))

  expect(missed).toBe(1_000)
  expect(latest).toEqual(at('2025-12-31T23:59:00Z'))
})

test.each([
  ['no pattern', { cron: 'every day', timezone: 'UTC' }],
  ['an unknown time zone', { cron: '0 9 * * *', timezone: 'Mars/Olympus' }],
  ['a day that never comes', { cron: '0 0 31 2 *', timezone: 'UTC' }],
  ['runs that follow too closely', { cron: '*/10 * * * * *', timezone: 'UTC' }],
  ['runs that follow too closely at one time of the day', { cron: '0,1 0 9 * * *', timezone: 'UTC' }],
])('%s is refused with the reason', (_what, repeat) => {
  expect(() => firstRun(repeat, at('2026-01-01T00:00:00Z'), MINUTE_MS)).toThrow(/cannot be scheduled/)
})
