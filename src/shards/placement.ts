/**
 * Where a new session starts: a strategy picks a worker and one of its shards, once. Pure but for the random source and
 * the turn counter of round-robin, both handed in or held by the chooser.
 */
import type { LoadBalancingStrategy } from '../config/schema.js'
import { keyHash } from './key-hash.js'
import type { Shard } from './shard.js'

export type PlacementStrategy = LoadBalancingStrategy

export interface PlaceableWorker {
  readonly id: string
  /** Relative capacity, above 0. */
  readonly weight: number
  /** Work in progress, in any unit that all workers share. */
  readonly load: number
  readonly shards: readonly Shard[]
}

/** What placement knows of the cluster: workers that take new sessions. */
export interface PlacementView {
  readonly workers: readonly PlaceableWorker[]
}

export interface Placement {
  readonly worker: string
  readonly shard: Shard
}

/** A number from 0 up to, not including, 1. */
export type RandomSource = () => number

/** Undefined when no worker in the view owns a shard. `key` is what hash-based placement hashes: the spawn key. */
export type Placer = (view: PlacementView, key: string) => Placement | undefined

export function createPlacer(strategy: PlacementStrategy, random: RandomSource = Math.random): Placer {
  if (strategy === 'hash-based') return placeByHash
  const pick = PICKERS[strategy](random)
  return (view) => {
    const workers = view.workers.filter(({ shards }) => shards.length > 0)
    const worker = pick(workers)
    const shard = worker && oneOf(worker.shards, random)
    return worker && shard !== undefined ? { worker: worker.id, shard } : undefined
  }
}

type Picker = (workers: readonly PlaceableWorker[]) => PlaceableWorker | undefined

const PICKERS: Readonly<Record<Exclude<PlacementStrategy, 'hash-based'>, (random: RandomSource) => Picker>> = {
  'least-loaded': (random) => (workers) => lessLoadedOfTwo(workers, random),
  weighted: (random) => (workers) => byWeight(workers, random),
  'round-robin': () => inTurn(),
}

// The ring has dealt the shards to the workers already, so hashing the key onto a shard is consistent hashing of the key:
// one key always meets the same shard while the set of owned shards stands, whoever owns it.
function placeByHash(view: PlacementView, key: string): Placement | undefined {
  const places = view.workers.flatMap(({ id, shards }) => shards.map((shard) => ({ worker: id, shard })))
  places.sort((a, b) => a.shard - b.shard)
  return places[keyHash(key) % places.length]
}

// The less loaded of two random workers: nearly as even as the least loaded of all, and edges with an old view of the
// load do not all rush to the same worker.
function lessLoadedOfTwo(workers: readonly PlaceableWorker[], random: RandomSource): PlaceableWorker | undefined {
  const first = oneOf(workers, random)
  const second = oneOf(
    workers.filter((worker) => worker !== first),
    random,
  )
  if (!first || !second) return first
  return second.load / second.weight < first.load / first.weight ? second : first
}

function byWeight(workers: readonly PlaceableWorker[], random: RandomSource): PlaceableWorker | undefined {
  let left = random() * workers.reduce((sum, { weight }) => sum + weight, 0)
  for (const worker of workers) {
    left -= worker.weight
    if (left < 0) return worker
  }
  return workers.at(-1)
}

function inTurn(): Picker {
  let turn = 0
  return (workers) => {
    const sorted = [...workers].sort((a, b) => (a.id < b.id ? -1 : 1))
    return sorted[turn++ % sorted.length]
  }
}

const oneOf = <T>(items: readonly T[], random: RandomSource): T | undefined =>
  items[Math.floor(random() * items.length)]
