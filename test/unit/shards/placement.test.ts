/**
 * Where new sessions start under each strategy.
 */
import { describe, expect, test } from 'vitest'
import { LOAD_BALANCING_STRATEGIES } from '../../../src/config/schema.js'
import { newSessionId } from '../../../src/protocol/ids.js'
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
  test.each(LOAD_BALANCING_STRATEGIES)('%s picks a shard of the worker that it names', (strategy) => {
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

  test('weighted follows declared capacity', () => {
    const [small = 0, large = 0] = spread('weighted', view({ weight: 1 }, { weight: 3 }))

    expect(large / small).toBeGreaterThan(2.4)
    expect(large / small).toBeLessThan(3.7)
  })

  test('round-robin gives every worker the same', () => {
    expect(spread('round-robin', view({}, {}, {}))).toEqual([1_000, 1_000, 1_000])
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
