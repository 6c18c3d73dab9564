/**
 * How evenly shards and sessions lie on the workers, and what moves when workers come, go and die: dealt out by the code
 * that the coordinator runs.
 */
import {
  type AssignableWorker,
  assignShards,
  type Move,
  type Owner,
  planMoves,
  roundLimit,
} from '../../src/shards/assignment.js'
import { type Shard, shardOfKey } from '../../src/shards/shard.js'

type Owners = ReadonlyMap<Shard, Owner>

export const workersOf = (count: number): AssignableWorker[] =>
  Array.from({ length: count }, (_, index) => ({ id: `worker-${index}#1`, name: `worker-${index}`, weight: 1 }))

/** Shards of a cluster that has just begun. */
export const dealt = (shardCount: number, workers: readonly AssignableWorker[]): Owners =>
  assignShards({ shardCount, workers, current: new Map() })

/** Sessions by shard: each is placed by its spawn key, as `hash-based` does while every shard has an owner. */
export function sessionsByShard(sessions: number, shardCount: number): Uint32Array {
  const counts = new Uint32Array(shardCount)
  for (let session = 0; session < sessions; session++) {
    const shard = shardOfKey(`tenant-${session % 1_000}/task-${session}`, shardCount)
    counts[shard] = (counts[shard] ?? 0) + 1
  }
  return counts
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
  readonly mean: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const sum = sorted.reduce((total, value) => total + value, 0)
  const at = (index: number): number => sorted[index] ?? 0
  return {
    min: at(0),
    median: at(Math.floor(sorted.length / 2)),
    max: at(sorted.length - 1),
    mean: sum / Math.max(1, sorted.length),
  }
}

/** What each worker has of something that shards have. */
export function perWorker(
  owners: Owners,
  workers: readonly AssignableWorker[],
  of: (shard: Shard) => number,
): number[] {
  const sums = new Map<Owner, number>(workers.map(({ id }) => [id, 0]))
  for (const [shard, owner] of owners) sums.set(owner, (sums.get(owner) ?? 0) + of(shard))
  return [...sums.values()]
}

export interface Churn {
  readonly what: string
  /** Shards that changed their owner because they had to: nobody owned them any more. */
  readonly orphans: number
  /** Shards that moved although their owner lived. */
  readonly planned: number
  /** Planned rounds that this takes. */
  readonly rounds: number
}

/** The cluster after `gone` of its workers died, or `joined` came. */
export function churn(
  what: string,
  shardCount: number,
  owners: Owners,
  before: readonly AssignableWorker[],
  after: readonly AssignableWorker[],
): Churn {
  const alive = new Set(after.map(({ id }) => id))
  const current = new Map([...owners].filter(([, owner]) => alive.has(owner)))
  const desired = assignShards({ shardCount, workers: after, current })
  const moves: Move[] = planMoves(current, desired, shardCount)
  const orphans = moves.filter(({ from }) => from === undefined).length
  const planned = moves.length - orphans
  if (before.length === after.length) return { what, orphans, planned, rounds: 0 }
  return { what, orphans, planned, rounds: Math.ceil(planned / roundLimit(shardCount)) }
}
