/**
 * A stream per worker and lane, to which `submit` writes the numbers of shards that have got commands. Reading it costs
 * the same for one shard and for four thousand, which reading the shards' own streams does not.
 *
 * A ring is only a hint: it may come twice, or be lost with the stream. What waits is looked for once a second anyway.
 */
import type { NodeId } from '../protocol/ids.js'
import { BlockingRead, type StreamBatch } from '../redis/blocking-read.js'
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import type { CommandBell } from './bus.js'
import type { Lanes } from './lanes.js'

/** Rings that a bell keeps: what is beyond has been lost to a worker that stalls, which looks at everything then. */
export const BELL_RINGS = 1_000
/** A bell that nobody listens to any more disappears, and edges do not revive it. */
const EXPIRY_MS = 30_000
/** How long a lost ring delays its commands. */
const LOOK_AT_ALL_MS = 1_000
const RINGS_PER_READ = 200
/** A shard where nothing waits costs 2 µs of the server. */
const SHARDS_PER_CALL = 64
/** No shard's: it is told of. */
const UNKNOWN_PLACE = '-'

interface BellOptions {
  readonly owner: NodeId
  readonly redis: RedisClient
  readonly lanes: Lanes
  readonly connect: () => Promise<RedisClient>
  readonly onWaiting: (shard: number) => void
  readonly placeOf: (shard: number) => string | undefined
  readonly onLost: () => void
}

export class RedisCommandBell implements CommandBell {
  readonly #options: BellOptions
  readonly #shards = new Set<number>()
  /** Lanes that are read, or about to be. */
  readonly #lanes = new Map<number, Promise<BlockingRead | undefined>>()
  readonly #cursors = new Map<string, string>()
  readonly #unread = new Script(new URL('./lua/unread.lua', import.meta.url))
  readonly #timer: NodeJS.Timeout
  #stopped = false

  constructor(options: BellOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#lookAtAll(), LOOK_AT_ALL_MS)
  }

  add(shard: number): void {
    if (this.#stopped) return
    this.#shards.add(shard)
    const lane = this.#options.lanes.laneOfShard(shard)
    if (!this.#lanes.has(lane)) this.#lanes.set(lane, this.#listen(lane))
    // Commands may have come before the bell was there, or before this worker owned the shard.
    setImmediate(() => this.#tell(shard))
  }

  remove(shard: number): void {
    this.#shards.delete(shard)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#shards.clear()
    const reads = await Promise.all(this.#lanes.values())
    await Promise.all(reads.map((it) => it?.stop()))
    // A worker that cannot reach Redis leaves its bells to expire.
    await Promise.all([...this.#lanes.keys()].map((it) => this.#options.redis.unlink(this.#key(it)))).catch(
      () => undefined,
    )
  }

  #key(lane: number): string {
    return this.#options.lanes.lane(lane).bell(this.#options.owner)
  }

  async #listen(lane: number): Promise<BlockingRead | undefined> {
    try {
      await this.#hang(lane)
      const client = await this.#options.connect()
      const key = this.#key(lane)
      const read = new BlockingRead({
        client,
        cursors: () => new Map([[key, this.#cursors.get(key) ?? '0-0']]),
        count: RINGS_PER_READ,
        onBatches: async (batches) => this.#hear(batches),
        onLost: () => this.#lost(),
      })
      read.start()
      return read
    } catch {
      // Redis is away, which its connections have logged: the owner adds its shards anew, which tries again.
      this.#lanes.delete(lane)
      this.#options.onLost()
      return undefined
    }
  }

  /** Makes sure that the bell is there: `submit` writes only to one that is. */
  async #hang(lane: number): Promise<void> {
    const { redis, lanes } = this.#options
    const key = this.#key(lane)
    if ((await redis.pexpire(key, EXPIRY_MS)) === 1) return
    await redis.xadd(key, 'MAXLEN', '~', BELL_RINGS, '*', 'n', '')
    await redis.pexpire(key, EXPIRY_MS)
    // What came before the bell was there has rung at nobody.
    for (const shard of this.#shards) if (lanes.laneOfShard(shard) === lane) this.#tell(shard)
  }

  #hear(batches: readonly StreamBatch[]): void {
    for (const [key, entries] of batches) {
      const last = entries.at(-1)
      if (last) this.#cursors.set(key, last[0])
      for (const [, fields] of entries) for (const number of (fields[1] ?? '').split(' ')) this.#hearOne(number)
    }
  }

  #hearOne(number: string): void {
    if (number !== '') this.#tell(Number(number))
  }

  #tell(shard: number): void {
    if (this.#shards.has(shard)) this.#options.onWaiting(shard)
  }

  #lookAtAll(): void {
    const { lanes } = this.#options
    for (const shards of lanes.calls([...this.#shards], (shard) => shard, SHARDS_PER_CALL)) void this.#lookAt(shards)
    // When Redis is away, the blocking read notices too.
    for (const lane of this.#lanes.keys()) this.#hang(lane).catch(() => undefined)
  }

  /** Asks of shards of one lane, which mostly have nothing to say. Where the store cannot tell, each is asked by itself. */
  async #lookAt(shards: readonly number[]): Promise<void> {
    const { redis, lanes, placeOf } = this.#options
    const [first = 0] = shards
    const keys = lanes.ofShard(first)
    const known = shards.flatMap((shard) => [shard, placeOf(shard) ?? UNKNOWN_PLACE])
    try {
      for (const shard of await this.#unread.run(redis, keys.shard(first), keys.base, ...known))
        this.#tell(Number(shard))
    } catch {
      for (const shard of shards) this.#tell(shard)
    }
  }

  /** The store may be another one, whose ids are behind ours: it is read from its start. */
  #lost(): void {
    this.#cursors.clear()
    this.#options.onLost()
  }
}
