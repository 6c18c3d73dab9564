/**
 * Which Redis keys belong to a shard or a session: shard → lane → hash tag.
 */
import { type SessionId, shardOfSession } from '../protocol/ids.js'
import { type LaneKeys, laneKeys } from '../redis/keys.js'
import { laneOf, laneTag } from '../shards/lane.js'

export class Lanes {
  readonly #keys: readonly LaneKeys[]

  /** `count` is fixed for the life of a cluster: 1 on a single Redis, 16 on Redis Cluster. */
  constructor(
    cluster: string,
    readonly count: number,
  ) {
    this.#keys = Array.from({ length: count }, (_, lane) => laneKeys(cluster, laneTag(lane)))
  }

  lane(index: number): LaneKeys {
    const keys = this.#keys[index]
    if (!keys) throw new RangeError(`lane ${index} of ${this.count}`)
    return keys
  }

  laneOfShard(shard: number): number {
    return laneOf(shard, this.count)
  }

  ofShard(shard: number): LaneKeys {
    return this.lane(this.laneOfShard(shard))
  }

  /** Splits what belongs to shards into calls: each of one lane, and of at most `most`. */
  calls<T>(items: readonly T[], shardOf: (item: T) => number, most: number): T[][] {
    const open = new Map<number, T[]>()
    const calls: T[][] = []
    for (const item of items) {
      const lane = this.laneOfShard(shardOf(item))
      const call = open.get(lane)
      if (call && call.length < most) call.push(item)
      else {
        const next = [item]
        open.set(lane, next)
        calls.push(next)
      }
    }
    return calls
  }

  /** @throws RangeError for a text that is no session id; callers have checked it before. */
  locate(id: SessionId): { readonly shard: number; readonly keys: LaneKeys } {
    const shard = shardOfSession(id)
    if (shard === undefined) throw new RangeError('not a session id')
    return { shard, keys: this.ofShard(shard) }
  }

  sessionKey(id: SessionId): string {
    return this.locate(id).keys.session(id)
  }
}
