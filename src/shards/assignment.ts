/**
 * Which worker should own which shard: a consistent-hash ring with bounded load that moves as little as it can.
 * Pure: the same input gives the same map on every coordinator.
 */
import { HashRing } from './ring.js'
import { allShards, type Shard } from './shard.js'

/** Owner of a shard: the id of a worker process. */
export type Owner = string

export interface AssignableWorker {
  readonly id: Owner
  /** Survives a restart of the process, so a restarted worker gets its old places on the ring. */
  readonly name: string
  /** Relative capacity, above 0. */
  readonly weight: number
}

export interface AssignmentInput {
  readonly shardCount: number
  /** Workers that are alive and take shards. */
  readonly workers: readonly AssignableWorker[]
  /** Owners as they stand; owners that are not among `workers` count as gone. */
  readonly current: ReadonlyMap<Shard, Owner>
  /** How far above its fair share a worker may be filled, and as far below it is left; default 1.1. */
  readonly loadFactor?: number
  /** Measured load of shards, in any unit; a shard that is not in it counts as idle. */
  readonly loads?: ReadonlyMap<Shard, number>
  /** Shards whose present owner keeps them whatever the bounds say: others make room for them. */
  readonly fixed?: ReadonlySet<Shard>
}

/** How many shards a worker may have, and how many it must be given. */
export interface ShareBounds {
  readonly share: number
  readonly cap: number
  readonly floor: number
}

export interface Move {
  readonly shard: Shard
  /** Undefined when nobody alive owns the shard. */
  readonly from: Owner | undefined
  readonly to: Owner
}

const DEFAULT_LOAD_FACTOR = 1.1
/** 1.1 × 10 is a little more than 11 in floating point, and must not become 12. */
const ROUNDING = 1e-9
/** A planned round may always move this many shards, so that small clusters settle in one round … */
const MIN_MOVES_PER_ROUND = 20
/** … and otherwise this share of all, so that a growing cluster never pauses a large part of its sessions at once. */
const MOVED_SHARE_PER_ROUND = 0.1

/** Whom the ring alone would give each shard. */
type Preferred = ReadonlyMap<Shard, Owner | undefined>

interface Load extends ShareBounds {
  readonly worker: AssignableWorker
  readonly shards: Set<Shard>
}

/**
 * Deals all shards to the workers; an empty map when there are none. No worker gets more than
 * ceil(`loadFactor` × its share), none less than floor((2 - `loadFactor`) × its share), and a shard stays with its
 * owner unless one of the two bounds, or the owner's absence, makes it move.
 */
export function assignShards(input: AssignmentInput): Map<Shard, Owner> {
  if (input.workers.length === 0) return new Map()
  const loads = emptyLoads(input)
  const candidates = candidatesOf(loads)
  const preferred = new Map(
    allShards(input.shardCount).map((shard) => [shard, candidates(shard).next().value?.worker.id]),
  )

  keepCurrent(input, loads, preferred)
  placeOwnerless(input.shardCount, loads, candidates)
  feedHungry(input, [...loads.values()], preferred)
  return new Map([...loads].flatMap(([owner, { shards }]) => [...shards].map((shard) => [shard, owner] as const)))
}

/**
 * The moves from `current` to `desired`, in shard order: every shard without an owner at once, and of the others at most
 * `maxPerRound` (default: 20 or a tenth of all, whichever is larger). Leave dead owners out of `current`.
 */
export function planMoves(
  current: ReadonlyMap<Shard, Owner>,
  desired: ReadonlyMap<Shard, Owner>,
  maxPerRound = roundLimit(desired.size),
): Move[] {
  const moves = [...desired]
    .map(([shard, to]) => ({ shard, from: current.get(shard), to }))
    .filter(({ from, to }) => from !== to)
    .sort((a, b) => a.shard - b.shard)
  let planned = 0
  return moves.filter(({ from }) => from === undefined || planned++ < maxPerRound)
}

/** Shards that one planned round may move: 20 or a tenth of all, whichever is larger. */
export const roundLimit = (shardCount: number): number =>
  Math.max(MIN_MOVES_PER_ROUND, Math.floor(shardCount * MOVED_SHARE_PER_ROUND))

/** The bounds on each worker's number of shards. */
export function shareBounds({
  shardCount,
  workers,
  loadFactor = DEFAULT_LOAD_FACTOR,
}: Pick<AssignmentInput, 'shardCount' | 'workers' | 'loadFactor'>): Map<Owner, ShareBounds> {
  const total = workers.reduce((sum, { weight }) => sum + weight, 0)
  if (!(loadFactor >= 1 && loadFactor <= 2))
    throw new RangeError(`a load factor lies between 1 and 2, not at ${loadFactor}`)
  return new Map(
    workers.map(({ id, weight }) => {
      const share = (shardCount * weight) / total
      const cap = Math.ceil(loadFactor * share - ROUNDING)
      const floor = Math.floor((2 - loadFactor) * share + ROUNDING)
      return [id, { share, cap, floor }]
    }),
  )
}

/** Whom the ring alone would give each shard; for people who look at the cluster. */
export function ringOwners(shardCount: number, workers: readonly AssignableWorker[]): Map<Shard, Owner | undefined> {
  const loads = emptyLoads({ shardCount, workers, current: new Map() })
  const candidates = candidatesOf(loads)
  return new Map(allShards(shardCount).map((shard) => [shard, candidates(shard).next().value?.worker.id]))
}

function emptyLoads(input: AssignmentInput): Map<Owner, Load> {
  const bounds = shareBounds(input)
  const sorted = [...input.workers].sort((a, b) => (a.id < b.id ? -1 : 1))
  return new Map(
    sorted.flatMap((worker) => {
      const limits = bounds.get(worker.id)
      return limits ? [[worker.id, { worker, ...limits, shards: new Set<Shard>() }] as const] : []
    }),
  )
}

/** The workers in the order in which the ring meets them from a shard on. */
function candidatesOf(loads: ReadonlyMap<Owner, Load>): (shard: Shard) => Generator<Load> {
  const ring = new HashRing()
  for (const { worker } of loads.values()) ring.addNode(ringName(worker, loads), worker.weight)
  const byRingName = new Map([...loads.values()].map((load) => [ringName(load.worker, loads), load]))
  return function* (shard) {
    for (const name of ring.nodesFrom(`shard:${shard}`)) {
      const load = byRingName.get(name)
      if (load) yield load
    }
  }
}

// Two processes may claim one name for a moment, during a restart; the ring must not merge them.
function ringName(worker: AssignableWorker, loads: ReadonlyMap<Owner, Load>): string {
  const namesakes = [...loads.values()].filter((load) => load.worker.name === worker.name)
  return namesakes[0]?.worker.id === worker.id ? worker.name : worker.id
}

/** Shards stay where they are up to the owner's cap: fixed ones first, then those that the ring put there. */
function keepCurrent(input: AssignmentInput, loads: ReadonlyMap<Owner, Load>, preferred: Preferred): void {
  const rankOf = (shard: Shard, owner: Owner): number => {
    if (input.fixed?.has(shard)) return 0
    return preferred.get(shard) === owner ? 1 : 2
  }
  const kept = [...input.current]
    .filter(([shard]) => shard < input.shardCount)
    .map(([shard, owner]) => ({ shard, owner, rank: rankOf(shard, owner) }))
    .sort((a, b) => a.rank - b.rank || a.shard - b.shard)
  for (const { shard, owner, rank } of kept) {
    const load = loads.get(owner)
    if (load && (rank === 0 || load.shards.size < load.cap)) load.shards.add(shard)
  }
}

/** Each shard that is left goes to the first worker along the ring that has room; the caps add up to enough. */
function placeOwnerless(
  shardCount: number,
  loads: ReadonlyMap<Owner, Load>,
  candidates: (shard: Shard) => Generator<Load>,
): void {
  const owned = new Set([...loads.values()].flatMap(({ shards }) => [...shards]))
  for (const shard of allShards(shardCount)) {
    if (owned.has(shard)) continue
    for (const load of candidates(shard)) {
      if (load.shards.size >= load.cap) continue
      load.shards.add(shard)
      break
    }
  }
}

/**
 * Stickiness alone would leave a new worker empty: whoever is below its floor takes from those above theirs, first what
 * moves in this plan anyway, then from the most loaded; and of what is offered the shard whose load brings it nearest to
 * its part of the load.
 */
function feedHungry(input: AssignmentInput, loads: readonly Load[], preferred: Preferred): void {
  if (loads.every(({ shards, floor }) => shards.size >= floor)) return
  const loadOf = (shard: Shard): number => input.loads?.get(shard) ?? 0
  const fairLoad = totalLoad(allShards(input.shardCount), loadOf) / input.shardCount
  const carried = new Map(loads.map((load) => [load, totalLoad(load.shards, loadOf)]))
  for (const hungry of loads) {
    while (hungry.shards.size < hungry.floor) {
      const donor = donorFor(hungry, loads, input, carried)
      // The floors add up to less than all shards, so only fixed ones can leave a worker below its own.
      if (!donor) break
      const missing = hungry.floor - hungry.shards.size
      const wanted = (hungry.share * fairLoad - (carried.get(hungry) ?? 0)) / missing
      const prefers = (shard: Shard): boolean => preferred.get(shard) === hungry.worker.id
      const shard = bestFit(donor.offered, wanted, loadOf, prefers)
      donor.load.shards.delete(shard)
      hungry.shards.add(shard)
      carried.set(donor.load, (carried.get(donor.load) ?? 0) - loadOf(shard))
      carried.set(hungry, (carried.get(hungry) ?? 0) + loadOf(shard))
    }
  }
}

interface Donor {
  readonly load: Load
  readonly offered: readonly Shard[]
}

/** Who gives, and out of what: somebody with shards that move anyway, else the most loaded of those above their floor. */
function donorFor(
  hungry: Load,
  loads: readonly Load[],
  { current, fixed }: Pick<AssignmentInput, 'current' | 'fixed'>,
  carried: ReadonlyMap<Load, number>,
): Donor | undefined {
  const pressure = (load: Load): number => (carried.get(load) ?? 0) / load.worker.weight
  const donors = loads
    .filter((load) => load !== hungry && load.shards.size > load.floor)
    .sort((a, b) => pressure(b) - pressure(a) || byFullness(a, b))
  const offer = (isOffered: (shard: Shard, load: Load) => boolean): Donor | undefined => {
    for (const load of donors) {
      const offered = [...load.shards].filter((shard) => !fixed?.has(shard) && isOffered(shard, load))
      if (offered.length > 0) return { load, offered }
    }
    return undefined
  }
  return offer((shard, { worker }) => current.get(shard) !== worker.id) ?? offer(() => true)
}

const byFullness = (a: Load, b: Load): number => b.shards.size / b.share - a.shards.size / a.share

function totalLoad(shards: Iterable<Shard>, loadOf: (shard: Shard) => number): number {
  let sum = 0
  for (const shard of shards) sum += loadOf(shard)
  return sum
}

/** The shard with the load nearest to `wanted`; among equals one that the ring prefers there, then the highest. */
function bestFit(
  shards: readonly Shard[],
  wanted: number,
  loadOf: (shard: Shard) => number,
  prefers: (shard: Shard) => boolean,
): Shard {
  const rank = (shard: Shard): number => (prefers(shard) ? 0 : 1)
  const distance = (shard: Shard): number => Math.abs(loadOf(shard) - wanted)
  return shards.reduce((best, shard) => {
    const order = distance(best) - distance(shard) || rank(best) - rank(shard) || shard - best
    return order > 0 ? shard : best
  })
}
