/**
 * Which faults a run has, and in which order a seed draws them.
 */
import { expect, test } from 'vitest'
import { drawFaults, ELSEWHERE, FAULTS, TESTS } from '../../../src/chaos/faults/faults.js'
import { busiest } from '../../../src/chaos/faults/victims.js'
import { selectFaults } from '../../../src/chaos/plan.js'
import { seededRandom } from '../../../src/chaos/seeded-random.js'

const DESIGNED = ['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8', 'T8b', 'T9', 'T10', 'T11', 'T12', 'T13', 'T14', 'T15']

test('every row of the design is a fault, or says where it is proved', () => {
  expect([...TESTS, ...Object.keys(ELSEWHERE)].toSorted()).toEqual(DESIGNED.toSorted())
})

test('servers that the user names are not harmed, and the run says so', () => {
  const given = { redisUrl: 'redis://host', databaseUrl: 'postgres://host' }

  const { faults, skipped } = selectFaults({ ...given, tests: ['T1', 'T5', 'T6', 'T8b'] })

  expect(faults.map(({ test: row }) => row)).toEqual(['T1'])
  expect(skipped.map(({ test: row }) => row)).toEqual(['T5', 'T6', 'T8b'])
})

test('an unknown row is refused by its name', () => {
  expect(() => selectFaults({ tests: ['T1', 'T99'] })).toThrow('T99')
})

test('a seed brings the order back, and each fault comes once before any comes again', () => {
  const draw = (seed: number) => {
    const drawn = drawFaults(FAULTS, seededRandom(seed))
    return Array.from({ length: 40 }, () => drawn.next().value.title)
  }

  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
  expect(new Set(draw(7).slice(0, FAULTS.length)).size).toBe(FAULTS.length)
})

test.each([1, 2, 3, 4, 5])(
  '100 faults hold at least 12 of each that takes work away from somebody (seed %i)',
  (seed) => {
    const drawn = drawFaults(FAULTS, seededRandom(seed))
    const rows = Array.from({ length: 100 }, () => drawn.next().value.test)

    for (const row of ['T1', 'T2', 'T4', 'T6', 'T7']) {
      expect(rows.filter((each) => each === row).length, row).toBeGreaterThanOrEqual(12)
    }
    expect(new Set(rows)).toEqual(new Set(TESTS))
  },
)

test('a victim has at least half as much work as whoever has most', () => {
  expect(busiest([1, 9, 4, 5, 0], (work) => work)).toEqual([9, 5])
  expect(busiest([0, 0], (work) => work)).toEqual([0, 0])
})

test('beside a Sentinel, what needs proxies or the same Redis again is left out, and a Redis of the user is refused', () => {
  const { faults, skipped } = selectFaults({ sentinel: true, tests: ['T1', 'T5', 'T6', 'T7'] })

  expect(faults.map(({ test: row }) => row)).toEqual(['T1', 'T6'])
  expect(skipped.map(({ test: row }) => row)).toEqual(['T5', 'T7'])
  expect(() => selectFaults({ sentinel: true, redisUrl: 'redis://host' })).toThrow('--redis-url')
})
