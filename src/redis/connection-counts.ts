/**
 * How many connections each edge has of a principal, and which principals have as many as they may.
 */
import type { NodeId } from '../protocol/ids.js'
import type { RedisClient } from './connect.js'
import { connectionCountsKey, fullPrincipalsKey } from './keys.js'
import { Script } from './script.js'

/** Edges write every count anew within 10 minutes; what an edge left behind when it died goes with the key. */
const KEEP_SECONDS = 3_600
/** A principal is full for this long after an edge has said so, and a little longer than edges take to say it again. */
const FULL_HOLDS_MS = 2_500

export class ConnectionCounts {
  readonly #exchangeFull = new Script(new URL('./lua/exchange-full.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly cluster: string,
    private readonly fullHoldsMs = FULL_HOLDS_MS,
  ) {}

  /** Writes how many connections an edge has of a principal; answers with the counts of all edges, dead ones too. */
  async write(principal: string, edge: NodeId, count: number): Promise<ReadonlyMap<NodeId, number>> {
    const key = connectionCountsKey(this.cluster, principal)
    const write = this.redis.multi()
    if (count > 0) write.hset(key, edge, count).expire(key, KEEP_SECONDS)
    else write.hdel(key, edge)
    const results = await write.hgetall(key).exec()
    const [error, counts] = results?.at(-1) ?? [new Error('the counts of connections were not written'), {}]
    if (error) throw error
    return new Map(Object.entries(counts as Record<string, string>).map(([node, text]) => [node, Number(text)]))
  }

  /** Notes who is full and who is no longer, and answers with all that some edge has noted lately. */
  async exchangeFull(full: readonly string[], freed: readonly string[]): Promise<readonly string[]> {
    const key = fullPrincipalsKey(this.cluster)
    const [, ...all] = await this.#exchangeFull.run(this.redis, key, this.fullHoldsMs, freed.length, ...freed, ...full)
    return all as string[]
  }
}
