/**
 * Who gets which shard, and how fast.
 */
import { expect, test } from 'vitest'
import {
  type BalancedShard,
  type BalancedWorker,
  type BalancerInput,
  balance,
} from '../../../src/coordinator/balancer.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const SHARDS = 256
const MOVES_PER_ROUND = 25

const worker = (name: string, extra: Partial<BalancedWorker> = {}): BalancedWorker => ({
  id: `${name}@1`,
  name,
  weight: 1,
  version: '2.0.0',
  draining: false,
  ...extra,
})

/** Assignments in memory, changed as Postgres and obedient owners would. */
class World {
  shards: BalancedShard[]
  readonly targets = new Map<number, string>()

  constructor(owner: string | null) {
    this.shards = Array.from({ length: SHARDS }, (_, shard) => ({
      shard,
      owner,
      epoch: owner === null ? 0 : 1,
      state: 'assigned',
      previousOwner: null,
    }))
  }

  plan(workers: readonly BalancedWorker[], extra: Partial<BalancerInput> = {}) {
    const versions = new Map(workers.map(({ id, version }) => [id, version]))
    const { shards: assignments, targets } = this
    return balance({ shardCount: SHARDS, assignments, workers, versions, targets, moving: false, ...extra })
  }

  /** Carries out one plan; owners for which `obeys` holds release at once what they are asked for. */
  round(
    workers: readonly BalancedWorker[],
    extra: Partial<BalancerInput> = {},
    obeys = (_shard: number) => true,
  ): number {
    const { takeovers, moves } = this.plan(workers, extra)
    for (const { shard, expectedEpoch, owner } of takeovers) {
      const before = this.at(shard)
      expect(before.epoch).toBe(expectedEpoch)
      this.targets.delete(shard)
      this.shards[shard] = { shard, owner, epoch: before.epoch + 1, state: 'assigned', previousOwner: before.owner }
    }
    for (const { shard, epoch, from, to } of moves) {
      expect(this.at(shard)).toMatchObject({ epoch, owner: from, state: 'assigned' })
      this.targets.set(shard, to)
      this.shards[shard] = { ...this.at(shard), state: obeys(shard) ? 'released' : 'releasing' }
    }
    return takeovers.length + moves.length
  }

  settle(workers: readonly BalancedWorker[], extra: Partial<BalancerInput> = {}): number {
    let rounds = 0
    while (this.round(workers, extra) > 0) expect(++rounds).toBeLessThan(100)
    return rounds
  }

  at(shard: number): BalancedShard {
    const found = this.shards[shard]
    if (!found) throw new RangeError(`no shard ${shard}`)
    return found
  }

  owned(id: string): number[] {
    return this.shards.filter(({ owner, state }) => owner === id && state !== 'released').map(({ shard }) => shard)
  }
}

test('the first workers get all shards at once', () => {
  const world = new World(null)
  const workers = [worker('a'), worker('b')]

  const { takeovers, moves } = world.plan(workers)

  expect(takeovers).toHaveLength(SHARDS)
  expect(moves).toHaveLength(0)
})

test('a dead worker is replaced on all its shards at once, and no other shard moves', () => {
  const world = new World(null)
  world.settle([worker('a'), worker('b'), worker('c')])
  const lost = world.owned('b@1')

  const { takeovers, moves } = world.plan([worker('a'), worker('c')])

  expect(takeovers.map(({ shard }) => shard)).toEqual(lost)
  expect(moves).toHaveLength(0)
})

test('D-08: a worker that joins gets its part in rounds of at most 25 of 256 shards', () => {
  const world = new World('a@1')
  const workers = [worker('a'), worker('b')]

  expect(world.plan(workers).moves).toHaveLength(MOVES_PER_ROUND)
  world.settle(workers)

  expect(world.owned('b@1').length).toBeGreaterThanOrEqual(115)
  expect(world.owned('a@1').length + world.owned('b@1').length).toBe(SHARDS)
})

test('no round begins while another is under way', () => {
  const world = new World('a@1')

  expect(world.plan([worker('a'), worker('b')], { moving: true }).moves).toHaveLength(0)
})

test('a worker that joins costs each shard at most one move, in whatever order owners release', () => {
  const random = seededRandom('balancer release order')
  for (let cluster = 0; cluster < 10; cluster++) {
    const anyWorker = () => worker(`w${random.integer(0, 1e9)}`, { weight: random.integer(1, 4) })
    const workers = Array.from({ length: random.integer(1, 6) }, anyWorker)
    const world = new World(null)
    world.settle(workers)
    const before = [...world.shards]

    joinSlowly(world, [...workers, anyWorker()], random)

    const moves = world.shards.map(({ shard, epoch }) => epoch - (before[shard]?.epoch ?? 0))
    expect(Math.max(...moves)).toBe(1)
  }
})

/** Rounds in which owners release a part of what they were asked for, until nothing changes any more. */
function joinSlowly(world: World, workers: readonly BalancedWorker[], random: SeededRandom): void {
  let asked: BalancedShard[]
  do {
    const changed = world.round(workers, {}, () => false)
    asked = world.shards.filter(({ state }) => state === 'releasing')
    for (const it of asked) {
      if (changed === 0 || random.next() < 0.3) world.shards[it.shard] = { ...it, state: 'released' }
    }
  } while (asked.length > 0 || world.round(workers) > 0)
}

test.each(['a@1', 'b@1', 'c@1'])('a released shard goes where it was released for: %s', (target) => {
  const world = new World(null)
  const workers = [worker('a'), worker('b'), worker('c')]
  world.settle(workers)
  world.shards[7] = { ...world.at(7), state: 'released' }
  world.targets.set(7, target)

  expect(world.plan(workers).takeovers).toEqual([{ shard: 7, expectedEpoch: 1, owner: target }])
})

test('a released shard goes to another worker when its target has died', () => {
  const world = new World('a@1')
  world.round([worker('a'), worker('b')])
  expect(world.targets.size).toBe(MOVES_PER_ROUND)

  const { takeovers } = world.plan([worker('a')])

  expect(takeovers).toHaveLength(MOVES_PER_ROUND)
  expect(new Set(takeovers.map(({ owner }) => owner))).toEqual(new Set(['a@1']))
})

test('a draining worker gets nothing and gives away everything', () => {
  const world = new World('a@1')
  const workers = [worker('a', { draining: true }), worker('b')]

  world.settle(workers)

  expect(world.owned('a@1')).toEqual([])
  expect(world.owned('b@1')).toHaveLength(SHARDS)
})

test('a draining worker keeps its shards while nobody else can take them', () => {
  const world = new World('a@1')

  const plan = world.plan([worker('a', { draining: true })])

  expect(plan).toMatchObject({ takeovers: [], moves: [], stranded: [] })
})

test('shards are stranded, not lost, when no worker is alive', () => {
  const world = new World('a@1')

  const plan = world.plan([])

  expect(plan.takeovers).toEqual([])
  expect(plan.stranded).toHaveLength(SHARDS)
})

test('no shard moves onto an older version, planned or after a death', () => {
  const world = new World('new@1')
  const versions = new Map([
    ['new@1', '2.1.0'],
    ['old@1', '2.0.9'],
  ])
  const old = worker('old', { version: '2.0.9' })

  const joined = world.plan([worker('new', { version: '2.1.0' }), old], { versions })
  const alone = world.plan([old], { versions })

  expect(joined).toMatchObject({ takeovers: [], moves: [], stranded: [] })
  expect(alone.takeovers).toEqual([])
  expect(alone.stranded).toHaveLength(SHARDS)
})

test('a rolling update moves every shard to the new version and none back', () => {
  const world = new World('old-1@1')
  const olds = [worker('old-1'), worker('old-2')]
  world.settle(olds)
  const news = [worker('new-1', { version: '2.1.0' }), worker('new-2', { version: '2.1.0' })]
  const versions = new Map([...olds, ...news].map(({ id, version }) => [id, version]))

  world.settle([...olds, ...news], { versions })
  world.settle([...olds.map((it) => ({ ...it, draining: true })), ...news], { versions })

  const owned = news.map(({ id }) => world.owned(id).length)
  expect(owned.reduce((sum, count) => sum + count)).toBe(SHARDS)
  expect(Math.min(...owned)).toBeGreaterThan(SHARDS / 4)
})

test('whatever workers come, drain and die, every shard ends with one living owner within the bounds', () => {
  const random = seededRandom('balancer churn')
  const world = new World(null)
  let workers = [worker('w0')]
  for (let step = 1; step <= 60; step++) {
    const action = random.pick(['join', 'die', 'drain', 'round'])
    if (action === 'join' && workers.length < 8) workers = [...workers, worker(`w${step}`)]
    if (action === 'die' && workers.length > 1) workers = workers.filter((it) => it !== workers[0])
    if (action === 'drain') workers = workers.map((it, index) => (index === 1 ? { ...it, draining: true } : it))
    world.round(workers, {}, () => random.next() < 0.5)
  }
  world.shards = world.shards.map((it) => (it.state === 'releasing' ? { ...it, state: 'released' } : it))

  workers = [...workers, worker('last')]

  world.settle(workers)

  const takers = workers.filter(({ draining }) => !draining)
  for (const { id } of takers) {
    expect(world.owned(id).length).toBeLessThanOrEqual(Math.ceil((1.1 * SHARDS) / takers.length))
  }
  expect(takers.flatMap(({ id }) => world.owned(id))).toHaveLength(SHARDS)
})
