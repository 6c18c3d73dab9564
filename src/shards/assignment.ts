/**
 * Which worker should own which shard: a consistent-hash ring with bounded load that moves as little as it can.
 * Pure: the same input gives the same map on every coordinator.
 */
import assert from 'node:assert/strict'
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
}

export interface Move {
  readonly shard: Shard
  /** Undefined when nobody alive owns the shard. */
  readonly from: Owner | undefined
  readonly to: Owner
}

export const DEFAULT_LOAD_FACTOR = 1.1
/** 1.1 × 10 is a little more than 11 in floating point, and must not become 12. */
const ROUNDING = 1e-9
/** A planned round may always move this many shards, so that small clusters settle in one round … */
const MIN_MOVES_PER_ROUND = 20
/** … and otherwise this share of all, so that a growing cluster never pauses a large part of its sessions at once. */
const MOVED_SHARE_PER_ROUND = 0.1

/** Whom the ring alone would give each shard. */
type Preferred = ReadonlyMap<Shard, Owner | undefined>

interface Load {
  readonly worker: AssignableWorker
  readonly share: number
  readonly cap: number
  readonly floor: number
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
  const ring = new HashRing()
  for (const { worker } of loads.values()) ring.addNode(ringName(worker, loads), worker.weight)
  const byRingName = new Map([...loads.values()].map((load) => [ringName(load.worker, loads), load]))
  const candidates = function* (shard: Shard): Generator<Load> {
    for (const name of ring.nodesFrom(`shard:${shard}`)) {
      const load = byRingName.get(name)
      if (load) yield load
    }
  }
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
  maxPerRound = Math.max(MIN_MOVES_PER_ROUND, Math.floor(desired.size * MOVED_SHARE_PER_ROUND)),
): Move[] {
  const moves = [...desired]
    .map(([shard, to]) => ({ shard, from: current.get(shard), to }))
    .filter(({ from, to }) => from !== to)
    .sort((a, b) => a.shard - b.shard)
  let planned = 0
  return moves.filter(({ from }) => from === undefined || planned++ < maxPerRound)
}

function emptyLoads({ shardCount, workers, loadFactor = DEFAULT_LOAD_FACTOR }: AssignmentInput): Map<Owner, Load> {
  const total = workers.reduce((sum, { weight }) => sum + weight, 0)
  if (!(loadFactor >= 1 && loadFactor <= 2))
    throw new RangeError(`a load factor lies between 1 and 2, not at ${loadFactor}`)
  const sorted = [...workers].sort((a, b) => (a.id < b.id ? -1 : 1))
  return new Map(
    sorted.map((worker) => {
      const share = (shardCount * worker.weight) / total
      const cap = Math.ceil(loadFactor * share - ROUNDING)
      const floor = Math.floor((2 - loadFactor) * share + ROUNDING)
      return [worker.id, { worker, share, cap, floor, shards: new Set<Shard>() }]
    }),
  )
}

// Two processes may claim one name for a moment, during a restart; the ring must not merge them.
function ringName(worker: AssignableWorker, loads: ReadonlyMap<Owner, Load>): string {
  const namesakes = [...loads.values()].filter((load) => load.worker.name === worker.name)
  return namesakes[0]?.worker.id === worker.id ? worker.name : worker.id
}

/** Shards stay where they are up to the owner's cap; those that the ring put there are kept before others. */
function keepCurrent(input: AssignmentInput, loads: ReadonlyMap<Owner, Load>, preferred: Preferred): void {
  const kept = [...input.current]
    .filter(([shard]) => shard < input.shardCount)
    .map(([shard, owner]) => ({ shard, owner, stray: preferred.get(shard) === owner ? 0 : 1 }))
    .sort((a, b) => a.stray - b.stray || a.shard - b.shard)
  for (const { shard, owner } of kept) {
    const load = loads.get(owner)
    if (load && load.shards.size < load.cap) load.shards.add(shard)
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
 * moves in this plan anyway, then from the fullest.
 */
function feedHungry(input: AssignmentInput, loads: readonly Load[], preferred: Preferred): void {
  const isMoving = (shard: Shard, { worker }: Load): boolean => input.current.get(shard) !== worker.id
  for (const hungry of loads) {
    while (hungry.shards.size < hungry.floor) {
      const donors = loads.filter((load) => load !== hungry && load.shards.size > load.floor).sort(byFullness)
      const donor = donors.find((load) => [...load.shards].some((shard) => isMoving(shard, load))) ?? donors[0]
      // The floors add up to less than all shards, so while somebody is below, somebody else is above.
      assert(donor, 'no worker has a shard to spare')
      const spare = [...donor.shards].filter((shard) => isMoving(shard, donor))
      const offered = spare.length > 0 ? spare : [...donor.shards]
      const shard = offered.find((each) => preferred.get(each) === hungry.worker.id) ?? Math.max(...offered)
      donor.shards.delete(shard)
      hungry.shards.add(shard)
    }
  }
}

const byFullness = (a: Load, b: Load): number => b.shards.size / b.share - a.shards.size / a.share
