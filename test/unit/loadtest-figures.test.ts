/**
 * What load runs report: percentiles, medians, and a results file in which every section stands once.
 */
import { describe, expect, test } from 'vitest'
import { Histogram } from '../../loadtest/generator/histogram.js'
import { costPerRoundTrip, cpuTimes } from '../../loadtest/measure/processes.js'
import { median } from '../../loadtest/measure/tables.js'
import { parseOptions } from '../../loadtest/options.js'
import { withSection } from '../../loadtest/results.js'
import { verdict } from '../../loadtest/scenarios/cost.js'
import { seededRandom } from '../support/random.js'

/** The width of a bucket, and rounding to µs. */
const TOLERANCE = 1.017

describe('the histogram', () => {
  test('agrees with sorting, to the width of a bucket', () => {
    const random = seededRandom('latencies')
    const values = Array.from({ length: 5_000 }, () => 10 ** (random.next() * 6 - 2))
    const histogram = new Histogram()
    for (const value of values) histogram.record(value)
    const sorted = values.toSorted((a, b) => a - b)

    for (const fraction of [0.01, 0.5, 0.9, 0.99, 0.999]) {
      const exact = sorted[Math.ceil(fraction * sorted.length) - 1] ?? 0
      const quantile = histogram.quantile(fraction)
      expect(quantile).toBeGreaterThanOrEqual(exact - 0.001)
      expect(quantile).toBeLessThanOrEqual(exact * TOLERANCE + 0.001)
    }
    expect(histogram.summary().max).toBeCloseTo(sorted.at(-1) ?? 0, 3)
  })

  test('shows one stall among ten thousand quick answers in its maximum, and not in p99', () => {
    const histogram = new Histogram()
    for (let i = 0; i < 9_999; i++) histogram.record(2)
    histogram.record(120_000)

    expect(histogram.summary()).toEqual({ p50: 2.015, p90: 2.015, p99: 2.015, max: 120_000 })
    expect(histogram.count).toBe(10_000)
  })

  test('of nothing is all zeros', () => {
    expect(new Histogram().summary()).toEqual({ p50: 0, p90: 0, p99: 0, max: 0 })
  })
})

test('the median is the value in the middle', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([7])).toBe(7)
  expect(median([])).toBe(0)
})

test('the cost of a round trip is the CPU time between two readings', () => {
  expect(costPerRoundTrip({ edge: 1_000, redis: 0 }, { edge: 31_000, redis: 5_000 }, 1_000)).toEqual({
    edge: 30,
    redis: 5,
  })
})

test.runIf(process.platform === 'linux')('CPU time of a process that works rises', () => {
  const before = cpuTimes({ self: [process.pid] }).self ?? 0
  const until = performance.now() + 40
  while (performance.now() < until) JSON.stringify(Array(100).fill('work'))

  expect(cpuTimes({ self: [process.pid] }).self).toBeGreaterThan(before)
})

describe('the results file', () => {
  const document = withSection(withSection('# Load results\n\nIntroduction.\n', 'peak', 'first'), '10k', 'second')

  test('holds one section for each scenario, in a fixed order', () => {
    expect(document).toBe('# Load results\n\nIntroduction.\n\n## 10k\n\nsecond\n\n## peak\n\nfirst\n')
  })

  test('gets a section replaced by the next run, and nothing else changed', () => {
    expect(withSection(document, 'peak', 'third')).toBe(document.replace('first', 'third'))
    expect(withSection(document, 'peak', 'first')).toBe(document)
  })
})

describe('the options', () => {
  test('are taken with their defaults', () => {
    expect(parseOptions(['peak', '--seconds', '5'])).toMatchObject({
      words: ['peak'],
      options: {
        seconds: 5,
        connections: undefined,
        edges: undefined,
        workers: undefined,
        repeat: 1,
        json: false,
        results: true,
      },
    })
  })

  test('that cannot be understood are answered with a sentence', () => {
    expect(parseOptions(['--seconds', 'ten'])).toBe('--seconds is a whole number from 1 to 3600, not ten')
    expect(parseOptions(['--fast'])).toContain("Unknown option '--fast'")
  })
})

test('a cost is flat when no cluster differs by more than a tenth from the smallest one', () => {
  const costs = (...us: number[]) => us.map((each, index) => ({ workers: 2 ** (index + 1), us: each }))

  expect(verdict(costs(100, 109, 91))).toBe('Flat from 2 to 8 workers: +9 % at most.')
  expect(verdict(costs(100, 104, 131))).toBe('Not flat from 2 to 8 workers: up to +31 %; the aim is ± 10 %.')
  expect(verdict(costs(100, 60))).toBe('Not flat from 2 to 4 workers: up to −40 %; the aim is ± 10 %.')
  expect(verdict([])).toBe('There is nothing to compare.')
})
