/**
 * Rounds by measured load: hot shards leave overloaded workers, few at a time, and nothing moves for nothing.
 */
import { expect, test } from 'vitest'
import { type BalancedShard, type BalancedWorker, balance } from '../../../src/coordinator/balancer.js'
import { IMBALANCE_THRESHOLD, imbalanceOf } from '../../../src/coordinator/load-balancer.js'
import { roundLimit, shareBounds } from '../../../src/shards/assignment.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const worker = (name: string, extra: Partial<BalancedWorker> = {}): BalancedWorker => ({
  id: `${name}@1`,
  name,
  weight: 1,
  version: '2.0.0',
  draining: false,
  ...extra,
})

/** A settled cluster whose owners obey at once. */
class World {
  assignments: BalancedShard[]
  readonly versions = new Map<string, string>()

  constructor(
    readonly shardCount: number,
    public workers: readonly BalancedWorker[],
    readonly loads: ReadonlyMap<number, number>,
  ) {
    const shard = (number: number): BalancedShard => ({
      shard: number,
      owner: null,
      epoch: 0,
      state: 'released',
      previousOwner: null,
    })
    this.assignments = Array.from({ length: shardCount }, (_, number) => shard(number))
    this.settle()
  }

  plan(extra: Partial<Parameters<typeof balance>[0]> = {}) {
    for (const { id, version } of this.workers) this.versions.set(id, version)
    const { shardCount, assignments, workers, versions, loads } = this
    return balance({ shardCount, assignments, workers, versions, targets: new Map(), moving: false, loads, ...extra })
  }

  /** One round; the number of shards that changed their owner. */
  round(extra: Partial<Parameters<typeof balance>[0]> = {}): number {
    const { takeovers, moves } = this.plan(extra)
    for (const { shard, owner } of takeovers) this.#give(shard, owner)
    for (const { shard, to } of moves) this.#give(shard, to)
    return takeovers.length + moves.length
  }

  settle(extra: Partial<Parameters<typeof balance>[0]> = {}): number[] {
    const rounds: number[] = []
    for (let moved = this.round(extra); moved > 0; moved = this.round(extra)) {
      rounds.push(moved)
      expect(rounds.length).toBeLessThan(200)
    }
    return rounds
  }

  get owners(): Map<number, string> {
    return new Map(this.assignments.flatMap(({ shard, owner }) => (owner === null ? [] : [[shard, owner]])))
  }

  get imbalance(): number {
    const bounds = shareBounds({ shardCount: this.shardCount, workers: this.workers })
    const none = { share: 0, cap: 0, floor: 0 }
    const workers = this.workers.map((it) => ({ ...it, ...(bounds.get(it.id) ?? none) }))
    return imbalanceOf({ workers, owners: this.owners, loads: this.loads })
  }

  loadOf(id: string): number {
    return [...this.owners].reduce((sum, [shard, owner]) => sum + (owner === id ? (this.loads.get(shard) ?? 0) : 0), 0)
  }

  owned(id: string): number[] {
    return [...this.owners].flatMap(([shard, owner]) => (owner === id ? [shard] : []))
  }

  #give(shard: number, owner: string): void {
    const before = this.assignments[shard]
    if (!before) throw new RangeError(`no shard ${shard}`)
    const state = 'assigned'
    this.assignments[shard] = { shard, owner, epoch: before.epoch + 1, state, previousOwner: before.owner }
  }
}

/** A few shards take most of the work, as sessions of busy tenants do. */
function skewed(shardCount: number, random: SeededRandom): Map<number, number> {
  const loads = new Map<number, number>()
  for (let shard = 0; shard < shardCount; shard++) loads.set(shard, Math.min(40, 1 / (1 - random.next()) - 1))
  return loads
}

/** All of the work on the shards of the first worker. */
function onOneWorker(workers: readonly BalancedWorker[], shardCount: number): World {
  const world = new World(shardCount, workers, new Map())
  const loads = new Map(world.owned(workers[0]?.id ?? '').map((shard) => [shard, 4]))
  return new World(shardCount, workers, loads)
}

test('the work of one overloaded worker is spread, in rounds of at most 20 shards', () => {
  const world = onOneWorker([worker('a'), worker('b'), worker('c'), worker('d')], 64)
  const before = world.imbalance

  const rounds = world.settle({ byLoad: true })

  expect(before).toBeGreaterThan(3)
  expect(world.imbalance).toBeLessThanOrEqual(IMBALANCE_THRESHOLD)
  expect(Math.max(...rounds)).toBeLessThanOrEqual(20)
})

test('of 4,096 shards a round moves at most a tenth', () => {
  const world = onOneWorker([worker('a'), worker('b')], 4_096)

  expect(world.plan({ byLoad: true }).moves.length).toBeLessThanOrEqual(roundLimit(4_096))
  expect(roundLimit(4_096)).toBe(409)
})

test('nothing moves by load before a look at it is due, nor while a round is under way', () => {
  const world = onOneWorker([worker('a'), worker('b')], 64)

  expect(world.plan().moves).toEqual([])
  expect(world.plan({ byLoad: true, moving: true }).moves).toEqual([])
  expect(world.plan({ byLoad: true }).moves).not.toEqual([])
})

test('an imbalance below the threshold moves nothing', () => {
  const even = new World(8, [worker('a'), worker('b')], new Map())
  const [one = 0, other = 0] = [even.owned('a@1')[0], even.owned('b@1')[0]]
  const slightly = new Map([
    [one, 11.3],
    [other, 8.7],
  ])
  const world = new World(8, [worker('a'), worker('b')], slightly)

  expect(world.imbalance).toBeCloseTo(0.26, 2)
  expect(world.plan({ byLoad: true }).moves).toEqual([])
})

test('one session at work on an idle cluster moves nothing', () => {
  const world = new World(8, [worker('a'), worker('b')], new Map([[3, 1]]))

  expect(world.plan({ byLoad: true }).moves).toEqual([])
})

test('one giant shard stays where it is, and the others make room for it', () => {
  const workers = [worker('a'), worker('b')]
  const giant = new World(16, workers, new Map()).owned('a@1')[0] ?? 0
  const world = new World(16, workers, new Map(Array.from({ length: 16 }, (_, shard) => [shard, 1])))
  const loads = new Map([...world.loads, [giant, 100]])
  const heavy = new World(16, workers, loads)
  const before = heavy.owners.get(giant)

  heavy.settle({ byLoad: true })

  expect(heavy.owners.get(giant)).toBe(before)
})

test('a worker of weight 3 carries three times the load', () => {
  const random = seededRandom('weighted load')
  const world = new World(64, [worker('small'), worker('large', { weight: 3 })], skewed(64, random))

  world.settle({ byLoad: true })

  expect(world.imbalance).toBeLessThanOrEqual(IMBALANCE_THRESHOLD)
  const ratio = world.loadOf('large@1') / world.loadOf('small@1')
  expect(ratio).toBeGreaterThan(2)
  expect(ratio).toBeLessThan(4.2)
})

test('no load moves a shard onto an older version or onto a worker that drains', () => {
  const workers = [worker('new', { version: '2.1.0' })]
  const world = new World(32, workers, new Map(Array.from({ length: 32 }, (_, shard) => [shard, 5])))
  world.workers = [...workers, worker('old'), worker('drains', { version: '2.1.0', draining: true })]

  expect(world.settle({ byLoad: true })).toEqual([])
  expect(world.owned('new@1')).toHaveLength(32)
})

test('a resting shard and one that an operator has placed stay', () => {
  const world = onOneWorker([worker('a'), worker('b')], 16)
  const [wished = 0, ...others] = world.owned('a@1')
  const resting = new Set(others.slice(0, 4))

  world.settle({ byLoad: true, resting, wished: new Map([[wished, 'a@1']]) })

  for (const shard of [wished, ...resting]) expect(world.owners.get(shard)).toBe('a@1')
})

test("an operator's wish comes first, beyond the bound of a round, and others make room", () => {
  const world = new World(64, [worker('a'), worker('b')], new Map())
  const wished = new Map(world.owned('a@1').map((shard) => [shard, 'b@1']))

  const during = world.plan({ wished, moving: true }).moves
  world.settle({ wished })

  expect(during).toHaveLength(wished.size)
  expect(new Set([...wished.keys()].map((shard) => world.owners.get(shard)))).toEqual(new Set(['b@1']))
  expect(world.owned('a@1').length).toBeGreaterThanOrEqual(28)
})

test('a wish for a worker that is gone, drains or is older is passed over', () => {
  const world = new World(8, [worker('a', { version: '2.1.0' })], new Map())
  world.workers = [...world.workers, worker('old'), worker('drains', { version: '2.1.0', draining: true })]

  for (const to of ['gone@1', 'old@1', 'drains@1']) {
    expect(world.plan({ wished: new Map([[0, to]]) })).toMatchObject({ takeovers: [], moves: [], stranded: [] })
  }
})

test('two workers that join two busy ones get an even part of a skewed load', () => {
  const random = seededRandom('join under skew')
  const before = [worker('a'), worker('b')]
  const world = new World(256, before, skewed(256, random))
  world.settle({ byLoad: true })
  const owners = world.owners
  world.workers = [...before, worker('c'), worker('d')]

  const rounds = world.settle({ byLoad: true })

  const moved = [...world.owners].filter(([shard, owner]) => owners.get(shard) !== owner).length
  console.info(`imbalance ${world.imbalance.toFixed(2)}, ${moved} of 256 shards moved in ${rounds.length} rounds`)
  expect(world.imbalance).toBeLessThanOrEqual(IMBALANCE_THRESHOLD)
  expect(Math.max(...rounds)).toBeLessThanOrEqual(roundLimit(256))
  expect(moved).toBeLessThanOrEqual(160)
})

/** What every step is to lower. */
const potential = (world: World): number =>
  world.workers.reduce((sum, { id, weight }) => sum + world.loadOf(id) ** 2 / weight, 0)

test('whatever the loads, rounds come to rest, each makes them more even, and the bounds on numbers hold', () => {
  const random = seededRandom('rounds by load')
  for (let trial = 0; trial < 15; trial++) {
    const shardCount = random.pick([16, 64, 256])
    const size = random.integer(2, 8)
    const workers = Array.from({ length: size }, (_, n) => worker(`w${n}`, { weight: random.integer(1, 3) }))
    const world = new World(shardCount, workers, skewed(shardCount, random))

    let before = potential(world)
    for (let rounds = 0; world.round({ byLoad: true }) > 0; rounds++) {
      expect(potential(world)).toBeLessThan(before)
      before = potential(world)
      expect(rounds).toBeLessThan(20)
    }

    const bounds = shareBounds({ shardCount, workers })
    for (const { id } of workers) {
      expect(world.owned(id).length).toBeLessThanOrEqual(bounds.get(id)?.cap ?? 0)
      expect(world.owned(id).length).toBeGreaterThanOrEqual(bounds.get(id)?.floor ?? 0)
    }
  }
})

test('loads that waver by a tenth move nothing once they are even', () => {
  const random = seededRandom('wavering load')
  const loads = skewed(128, random)
  const world = new World(128, [worker('a'), worker('b'), worker('c')], loads)
  world.settle({ byLoad: true })
  const rest = world.imbalance

  let moved = 0
  for (let round = 0; round < 50; round++) {
    const wavering = new Map([...loads].map(([shard, load]) => [shard, load * (0.95 + random.next() / 10)]))
    moved += world.round({ byLoad: true, loads: wavering })
  }

  console.info(`at rest with an imbalance of ${rest.toFixed(2)}, ${moved} moves in 50 rounds of wavering loads`)
  expect(moved).toBeLessThanOrEqual(20)
})
