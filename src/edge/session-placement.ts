/**
 * Where a new session goes, as this edge sees the cluster now.
 */
import type { ClusterView, LiveNode } from '../cluster/cluster.js'
import type { RouteDecision } from '../protocol/replies.js'
import { createPlacer, type PlaceableWorker, type PlacementStrategy, type Placer } from '../shards/placement.js'
import { type Shard, shardOfKey } from '../shards/shard.js'

/** Shown when no worker is known yet: the session waits in its shard until one comes. */
const NO_WORKER = 'unassigned'

export class SessionPlacement {
  readonly #view: ClusterView
  readonly #strategy: PlacementStrategy
  readonly #placer: Placer

  constructor(view: ClusterView, strategy: PlacementStrategy) {
    this.#view = view
    this.#strategy = strategy
    this.#placer = createPlacer(strategy)
  }

  /** Any shard can hold any session, so there is always an answer. */
  place(key: string): RouteDecision {
    const placed = this.#placer({ workers: this.#workers() }, key)
    const strategy = this.#strategy
    return placed ? { ...placed, strategy } : { worker: NO_WORKER, shard: this.#shardOfKey(key), strategy }
  }

  /** Whether every worker has as many sessions at work as it may have. Without any worker, sessions wait for one. */
  isFull(): boolean {
    const workers = this.#view.nodes().filter(takesSessions)
    return workers.length > 0 && workers.every(isAtLimit)
  }

  #shardOfKey(key: string): Shard {
    return shardOfKey(key, this.#view.shardCount)
  }

  #workers(): PlaceableWorker[] {
    const shards = new Map<string, Shard[]>()
    for (const [shard, owner] of this.#view.owners()) {
      const owned = shards.get(owner)
      if (owned) owned.push(shard)
      else shards.set(owner, [shard])
    }
    return this.#view
      .nodes()
      .filter(takesSessions)
      .map(({ id, weight, load }) => ({ id, weight, load: load.busy + load.queued, shards: shards.get(id) ?? [] }))
  }
}

/** A worker that has just joined beats before it has said how many sessions it may have: that is 0, and not a limit. */
const isAtLimit = ({ load }: LiveNode): boolean => load.capacity > 0 && load.busy >= load.capacity

export const isWorker = ({ role }: LiveNode): boolean => role === 'worker' || role === 'all'

const takesSessions = (node: LiveNode): boolean => isWorker(node) && node.status === 'live'
