/**
 * How much each shard has to do, as its owner measures it: one Redis hash for the cluster, a field for each worker, which
 * names its hottest shards and sums up the rest. The balancer reads it; nothing else depends on it.
 */
import type { NodeId } from '../protocol/ids.js'
import type { RedisClient } from '../redis/connect.js'
import { shardLoadsKey } from '../redis/keys.js'
import type { ShardLoad, ShardLoadReport, ShardLoads } from './cluster.js'

/** Without any worker left that reports, the figures disappear. */
const EXPIRY_MS = 60_000

export class RedisShardLoads implements ShardLoads {
  readonly #key: string

  constructor(
    private readonly redis: RedisClient,
    cluster: string,
  ) {
    this.#key = shardLoadsKey(cluster)
  }

  async publish(node: NodeId, report: ShardLoadReport): Promise<void> {
    const text = JSON.stringify({ hot: report.hot.map(tupleOf), rest: tupleOf(report.rest) })
    await Promise.all([this.redis.hset(this.#key, node, text), this.redis.pexpire(this.#key, EXPIRY_MS)])
  }

  async read(living: ReadonlySet<NodeId>): Promise<ReadonlyMap<NodeId, ShardLoadReport>> {
    const texts = Object.entries(await this.redis.hgetall(this.#key))
    const gone = texts.map(([node]) => node).filter((node) => !living.has(node))
    // A worker that lives after all reports again in seconds, and a failure is made good by the next look.
    if (gone.length > 0) this.redis.hdel(this.#key, ...gone).catch(() => undefined)
    return new Map(texts.flatMap(([node, text]) => (living.has(node) ? (reported(node, text) ?? []) : [])))
  }
}

type Tuple = readonly [shard: number, running: number, queued: number, perSecond: number]

const tupleOf = ({ shard, running, queued, perSecond }: ShardLoad): Tuple => [shard, running, queued, perSecond]

function reported(node: NodeId, text: string): [[NodeId, ShardLoadReport]] | undefined {
  try {
    const { hot, rest } = JSON.parse(text) as { hot: readonly unknown[]; rest: unknown }
    return [[node, { hot: hot.map(loadOf), rest: loadOf(rest) }]]
  } catch {
    return undefined // Another version says it in another way: its shards count as idle.
  }
}

/** @throws when it is none. */
function loadOf(value: unknown): ShardLoad {
  const [shard, running, queued, perSecond] = value as readonly unknown[]
  const numbers = [shard, running, queued, perSecond].map(Number)
  if (numbers.some((it) => !Number.isFinite(it))) throw new TypeError('not the load of a shard')
  const [number = 0, ...rest] = numbers
  return { shard: number, running: rest[0] ?? 0, queued: rest[1] ?? 0, perSecond: rest[2] ?? 0 }
}
