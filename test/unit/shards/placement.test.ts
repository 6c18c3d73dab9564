/**
 * Where new sessions start under each strategy.
 */
import { describe, expect, test } from 'vitest'
import { LOAD_BALANCING_STRATEGIES } from '../../../src/config/schema.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { assignShards } from '../../../src/shards/assignment.js'
import { createPlacer, type PlaceableWorker, type PlacementView } from '../../../src/shards/placement.js'
import { shardOf, shardOfKey } from '../../../src/shards/shard.js'
import { seededRandom } from '../../support/random.js'

const SPAWNS = 3_000

function view(...loads: { load?: number; weight?: number; shards?: number[] }[]): PlacementView {
  const workers: PlaceableWorker[] = loads.map(({ load = 0, weight = 1, shards }, index) => ({
    id: `worker-${index}`,
    weight,
    load,
    shards: shards ?? [index * 2, index * 2 + 1],
  }))
  return { workers }
}

function spread(strategy: (typeof LOAD_BALANCING_STRATEGIES)[number], on: PlacementView): number[] {
  const place = createPlacer(strategy, seededRandom(strategy).next)
  const perWorker = new Map<string, number>()
  for (let spawn = 0; spawn < SPAWNS; spawn++) {
    const worker = place(on, `key-${spawn}`)?.worker ?? 'nobody'
    perWorker.set(worker, (perWorker.get(worker) ?? 0) + 1)
  }
  return on.workers.map(({ id }) => perWorker.get(id) ?? 0)
}

describe('placement', () => {
  test.each(LOAD_BALANCING_STRATEGIES)('D-01: %s picks a shard of the worker that it names', (strategy) => {
    const on = view({}, {}, {})
    const place = createPlacer(strategy, seededRandom(strategy).next)

    for (let spawn = 0; spawn < 100; spawn++) {
      const placement = place(on, `key-${spawn}`)
      expect(on.workers.find(({ id }) => id === placement?.worker)?.shards).toContain(placement?.shard)
    }
  })

  test.each(LOAD_BALANCING_STRATEGIES)(
    '%s passes over workers without a shard and gives up without any',
    (strategy) => {
      const place = createPlacer(strategy, seededRandom(strategy).next)

      expect(place(view({ shards: [] }, { shards: [7] }), 'key')).toEqual({ worker: 'worker-1', shard: 7 })
      expect(place(view({ shards: [] }), 'key')).toBeUndefined()
      expect(place({ workers: [] }, 'key')).toBeUndefined()
    },
  )

  test('hash-based sends one key to one shard, whoever owns it', () => {
    const place = createPlacer('hash-based')

    const before = place(view({ shards: [0, 1] }, { shards: [2, 3] }), 'tenant/key')
    const after = place(view({ shards: [0, 1, 2, 3] }), 'tenant/key')

    expect(after?.shard).toBe(before?.shard)
  })

  test('hash-based spreads keys evenly', () => {
    for (const count of spread('hash-based', view({}, {}, {}, {}))) expect(count / (SPAWNS / 4)).toBeCloseTo(1, 0)
  })

  test('least-loaded never picks the most loaded of two and prefers the idle', () => {
    const [idle = 0, busy = 0] = spread('least-loaded', view({ load: 1 }, { load: 50 }))

    expect(busy).toBe(0)
    expect(idle).toBe(SPAWNS)
  })

  test('least-loaded measures load against capacity', () => {
    expect(spread('least-loaded', view({ load: 10, weight: 10 }, { load: 5, weight: 1 }))).toEqual([SPAWNS, 0])
  })

  test('D-03: weighted follows declared capacity', () => {
    const [small = 0, large = 0] = spread('weighted', view({ weight: 1 }, { weight: 3 }))

    expect(large / small).toBeGreaterThan(2.4)
    expect(large / small).toBeLessThan(3.7)
  })

  test('round-robin gives every worker the same', () => {
    expect(spread('round-robin', view({}, {}, {}))).toEqual([1_000, 1_000, 1_000])
  })
})

describe('placement under skewed load', () => {
  const SESSIONS = 8_000
  /** An edge's picture of the load is a second old; so many sessions start in it. */
  const STALE = 25

  /** A few sessions do most of the work. */
  const heavyTail = (random: () => number): number => Math.min(60, 1 / (1 - random()) ** 0.8)

  /** Starts sessions of skewed load; the load and the number of sessions of each worker. */
  function fill(strategy: (typeof LOAD_BALANCING_STRATEGIES)[number], weights: readonly number[]) {
    const { next } = seededRandom(`skewed ${strategy}`)
    const place = createPlacer(strategy, next)
    const loads = weights.map(() => 0)
    const counts = weights.map(() => 0)
    let on = view(...weights.map((weight) => ({ weight })))
    for (let session = 0; session < SESSIONS; session++) {
      if (session % STALE === 0) on = view(...weights.map((weight, index) => ({ weight, load: loads[index] ?? 0 })))
      const index = Number(place(on, `key-${session}`)?.worker.split('-')[1])
      loads[index] = (loads[index] ?? 0) + heavyTail(next)
      counts[index] = (counts[index] ?? 0) + 1
    }
    const pressures = loads.map((load, index) => load / (weights[index] ?? 1))
    const peak = Math.max(...pressures) / (pressures.reduce((sum, it) => sum + it, 0) / pressures.length)
    console.info(`${strategy}: fullest / mean ${peak.toFixed(3)}, sessions ${counts.join(' ')}`)
    return { peak, counts }
  }

  test('least-loaded keeps the fullest worker near the mean, also with an old picture', () => {
    expect(fill('least-loaded', [1, 1, 1, 1, 1, 1, 1, 1]).peak).toBeLessThan(1.1)
  })

  test('least-loaded keeps it near the mean by capacity, where capacities differ', () => {
    expect(fill('least-loaded', [1, 1, 2, 4]).peak).toBeLessThan(1.15)
  })

  test('round-robin gives all the same number, whatever they carry', () => {
    const { counts } = fill('round-robin', [1, 1, 1, 1, 1, 1, 1, 1])

    expect(new Set(counts)).toEqual(new Set([SESSIONS / 8]))
  })

  test('weighted deals sessions by declared capacity, within a tenth', () => {
    const { counts } = fill('weighted', [1, 2, 5])

    counts.forEach((count, index) => {
      const fair = (SESSIONS * ([1, 2, 5][index] ?? 0)) / 8
      expect(Math.abs(count / fair - 1)).toBeLessThan(0.1)
    })
  })

  test('D-05: hash-based keeps every key in its shard when a worker joins, and moves little more than its share', () => {
    const place = createPlacer('hash-based')
    const workers = (count: number) =>
      Array.from({ length: count }, (_, n) => ({ id: `w${n}`, name: `w${n}`, weight: 1 }))
    const owned = (owners: ReadonlyMap<number, string>): PlacementView => ({
      workers: [...new Set(owners.values())].map((id) => ({
        ...{ id, weight: 1, load: 0 },
        shards: [...owners].filter(([, owner]) => owner === id).map(([shard]) => shard),
      })),
    })
    const four = assignShards({ shardCount: 256, workers: workers(4), current: new Map() })
    const five = assignShards({ shardCount: 256, workers: workers(5), current: four })
    const keys = Array.from({ length: SESSIONS }, (_, n) => `tenant-${n % 97}/key-${n}`)

    const before = keys.map((key) => place(owned(four), key))
    const after = keys.map((key) => place(owned(five), key))

    const moved = keys.filter((_, index) => before[index]?.worker !== after[index]?.worker).length / SESSIONS
    console.info(`hash-based: ${(100 * moved).toFixed(1)} % of keys meet another worker when the fifth joins`)
    expect(after.map((it) => it?.shard)).toEqual(before.map((it) => it?.shard))
    expect(moved).toBeGreaterThan(0.1)
    expect(moved).toBeLessThan(0.25)
  })
})

describe('a shard', () => {
  test('is carried by the session id', () => {
    expect([0, 171, 4095].map((shard) => shardOf(newSessionId(shard)))).toEqual([0, 171, 4095])
    expect(shardOf('session_1700000000000_abcdefghi')).toBeUndefined()
  })

  test('of a key is the same on every machine and in every release', () => {
    expect(['', 'a', 'acme/task-1', 'Straße'].map((key) => shardOfKey(key, 256))).toEqual([11, 179, 145, 203])
  })
})
