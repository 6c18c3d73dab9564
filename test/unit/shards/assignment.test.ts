/**
 * Which worker gets which shard: bounds, stickiness, movement.
 */
import { describe, expect, test } from 'vitest'
import { type AssignableWorker, assignShards, type Owner, planMoves } from '../../../src/shards/assignment.js'
import type { Shard } from '../../../src/shards/shard.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const SHARDS = 256
const RANDOM_CLUSTERS = 60

function workers(count: number, weight: (index: number) => number = () => 1): AssignableWorker[] {
  return Array.from({ length: count }, (_unused, index) => ({
    id: `worker-${index}@1`,
    name: `worker-${index}`,
    weight: weight(index),
  }))
}

function loadsOf(assignment: ReadonlyMap<Shard, Owner>): Map<Owner, number> {
  const loads = new Map<Owner, number>()
  for (const owner of assignment.values()) loads.set(owner, (loads.get(owner) ?? 0) + 1)
  return loads
}

const moved = (before: ReadonlyMap<Shard, Owner>, after: ReadonlyMap<Shard, Owner>): Shard[] =>
  [...after].filter(([shard, owner]) => before.get(shard) !== owner).map(([shard]) => shard)

function expectWithinBounds(
  assignment: ReadonlyMap<Shard, Owner>,
  live: readonly AssignableWorker[],
  shardCount: number,
): void {
  const loads = loadsOf(assignment)
  const total = live.reduce((sum, { weight }) => sum + weight, 0)
  expect([...assignment.keys()].sort((a, b) => a - b)).toEqual(
    Array.from({ length: shardCount }, (_unused, shard) => shard),
  )
  for (const { id, weight } of live) {
    const share = (shardCount * weight) / total
    expect(loads.get(id) ?? 0).toBeLessThanOrEqual(Math.ceil((11 * share) / 10 - 1e-9))
    expect(loads.get(id) ?? 0).toBeGreaterThanOrEqual(Math.floor((9 * share) / 10 + 1e-9))
  }
  expect([...loads.keys()].every((owner) => live.some(({ id }) => id === owner))).toBe(true)
}

describe('assignment', () => {
  test('a fresh cluster of eight is dealt within a tenth of the mean', () => {
    const assignment = assignShards({ shardCount: SHARDS, workers: workers(8), current: new Map() })

    const loads = [...loadsOf(assignment).values()]
    expect(Math.max(...loads) / (SHARDS / 8)).toBeLessThanOrEqual(1.13)
    expect(Math.min(...loads) / (SHARDS / 8)).toBeGreaterThanOrEqual(0.87)
  })

  test('a cluster that did not change moves nothing', () => {
    const current = assignShards({ shardCount: SHARDS, workers: workers(5), current: new Map() })

    expect(assignShards({ shardCount: SHARDS, workers: workers(5), current })).toEqual(current)
  })

  test('a ninth worker gets its part and at most an eighth of all shards move', () => {
    const before = assignShards({ shardCount: SHARDS, workers: workers(8), current: new Map() })

    const after = assignShards({ shardCount: SHARDS, workers: workers(9), current: before })

    expectWithinBounds(after, workers(9), SHARDS)
    expect(moved(before, after).length / SHARDS).toBeLessThanOrEqual(0.125)
  })

  test('when one of eight leaves, its shards move and no other', () => {
    const before = assignShards({ shardCount: SHARDS, workers: workers(8), current: new Map() })
    const live = workers(8).filter(({ name }) => name !== 'worker-3')

    const after = assignShards({ shardCount: SHARDS, workers: live, current: before })

    const orphans = [...before.values()].filter((owner) => owner === 'worker-3@1').length
    expectWithinBounds(after, live, SHARDS)
    expect(moved(before, after)).toHaveLength(orphans)
  })

  test('a worker that declares twice the capacity gets twice the shards', () => {
    const live = workers(4, (index) => (index === 0 ? 2 : 1))

    const loads = loadsOf(assignShards({ shardCount: SHARDS, workers: live, current: new Map() }))

    expect(loads.get('worker-0@1')).toBeGreaterThanOrEqual(Math.floor((0.9 * 2 * SHARDS) / 5))
  })

  test('without workers nothing is assigned', () => {
    expect(assignShards({ shardCount: SHARDS, workers: [], current: new Map() }).size).toBe(0)
  })

  test('two processes of one name both get their part', () => {
    const live = [
      { id: 'worker@old', name: 'worker', weight: 1 },
      { id: 'worker@new', name: 'worker', weight: 1 },
    ]

    expectWithinBounds(assignShards({ shardCount: SHARDS, workers: live, current: new Map() }), live, SHARDS)
  })

  test('through random joins, leaves and weights every shard has a live owner and every load keeps its bounds', () => {
    const random = seededRandom('assignment history')
    for (let run = 0; run < RANDOM_CLUSTERS; run++) playHistory(random)
  })
})

function playHistory(random: SeededRandom): void {
  const shardCount = random.pick([1, 7, 64, 256, 300])
  let current: Map<Shard, Owner> = new Map()
  for (let step = 0; step < 6; step++) {
    const live = workers(random.integer(1, 12), (index) => 1 + (index % 3)).filter(() => random.next() > 0.3)
    if (live.length === 0) continue
    const next = assignShards({ shardCount, workers: live, current })
    expectWithinBounds(next, live, shardCount)
    current = next
  }
}

describe('a plan of moves', () => {
  const all = (owner: Owner): Map<Shard, Owner> =>
    new Map(Array.from({ length: SHARDS }, (_unused, shard) => [shard, owner] as const))

  test('moves at most a tenth of the shards of living owners in one round', () => {
    expect(planMoves(all('a'), all('b'))).toHaveLength(25)
  })

  test('may always move twenty shards, in small clusters too', () => {
    const small = (owner: Owner): Map<Shard, Owner> => new Map([...all(owner)].slice(0, 64))

    expect(planMoves(small('a'), small('b'))).toHaveLength(20)
  })

  test('takes over every shard without an owner at once', () => {
    const current = new Map([...all('a')].slice(0, 100))

    const moves = planMoves(current, all('b'))

    expect(moves.filter(({ from }) => from === undefined)).toHaveLength(156)
    expect(moves.filter(({ from }) => from === 'a')).toHaveLength(25)
  })

  test('rounds that follow each other reach the wanted map', () => {
    const desired = all('b')
    const current = all('a')
    let rounds = 0
    for (let moves = planMoves(current, desired); moves.length > 0; moves = planMoves(current, desired)) {
      for (const { shard, to } of moves) current.set(shard, to)
      rounds++
    }

    expect(current).toEqual(desired)
    expect(rounds).toBe(Math.ceil(SHARDS / 25))
  })
})
