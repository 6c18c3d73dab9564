import { expect, test } from 'vitest'
import { UsageReporter } from '../../../src/budget/usage-reporter.js'
import type { UsageGroup } from '../../../src/storage/usage-report.js'

const HOUR_MS = 3_600_000
const START = Date.parse('2026-11-01T00:00:00Z')
const group = (hour: number, tokens: number, more: Partial<UsageGroup> = {}): UsageGroup => ({
  ...{ from: new Date(START + hour * HOUR_MS), calls: 1, promptTokens: tokens, cachedTokens: 0, completionTokens: 0 },
  ...{ tokens, cost: tokens / 1_000 },
  ...more,
})
const query = { startTime: new Date(START), endTime: new Date(START + 10 * 24 * HOUR_MS) }

function reporter(groups: readonly UsageGroup[], now = START + 10 * 24 * HOUR_MS) {
  const asked: unknown[][] = []
  const store = {
    groups: async (...question: unknown[]) => {
      asked.push(question)
      return groups.slice(0, question[3] as number)
    },
  }
  return { asked, reports: new UsageReporter(store, () => now) }
}

test('a report sums up, groups, and says what a month costs at this rate', async () => {
  const { reports, asked } = reporter([group(0, 1_000), group(24, 3_000)])

  const report = await reports.getReport('acme', { ...query, groupBy: ['model', 'model'], granularity: 'weekly' })

  expect(report.summary).toMatchObject({ calls: 2, tokens: 4_000, cost: 4 })
  expect(report.breakdown).toHaveLength(2)
  expect(report.costEstimate).toMatchObject({ daily: 0.4, weekly: expect.closeTo(2.8), monthly: 12 })
  expect(report.costEstimate.confidence).toBeCloseTo(1 / 3)
  expect(report.costEstimate.monthlyIn).toEqual({ EUR: expect.closeTo(11.04), GBP: expect.closeTo(9.48) })
  expect(report.anomalies).toBeUndefined()
  expect(asked[1]).toMatchObject([{ tenant: 'acme' }, ['model'], 'weekly', 10_001])
})

test('days that are still to come do not make the rate smaller, and one day is not much to go by', async () => {
  const { reports } = reporter([group(0, 1_000)], START + 2 * 24 * HOUR_MS)
  expect((await reports.getReport('acme', query)).costEstimate).toMatchObject({ daily: 0.5, confidence: 0.1 })
})

test('an hour far above the others is unusual, where there are ten to compare', async () => {
  const usual = Array.from({ length: 12 }, (_, hour) => group(hour, 100 + (hour % 3)))
  const { reports } = reporter([...usual, group(20, 900)])
  const report = await reports.getReport('acme', { ...query, includeAnomalies: true })
  expect(report.anomalies).toMatchObject([{ from: '2026-11-01T20:00:00.000Z', tokens: 900 }])
  expect(report.anomalies?.[0]?.score).toBeGreaterThan(2.5)

  const few = reporter([...usual.slice(0, 8), group(20, 900)])
  expect((await few.reports.getReport('acme', { ...query, includeAnomalies: true })).anomalies).toEqual([])
})

test('no more than 10,000 groups are shown, and the report says that there were more', async () => {
  const { reports } = reporter(Array.from({ length: 10_005 }, (_, hour) => group(hour, 1)))
  const report = await reports.getReport('acme', { ...query, groupBy: ['session'] })
  expect([report.breakdown.length, report.truncated]).toEqual([10_000, true])
})

test.each([
  [
    'a time that ends before it begins',
    { startTime: query.endTime, endTime: query.startTime },
    /endTime: must be later/,
  ],
  [
    'more than a ledger holds',
    { startTime: new Date(0), endTime: query.endTime },
    /startTime: must not be more than 92 days/,
  ],
  ['a group that there is not', { ...query, groupBy: ['colour' as 'model'] }, /groupBy\.0/],
])('%s is refused', async (_what, input, words) => {
  await expect(reporter([]).reports.getReport('acme', input)).rejects.toThrow(words)
})
