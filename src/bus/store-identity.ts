/**
 * Which server holds each lane, looked at often: another run id or replication id means a restart or a promotion, after
 * which the last writes may be missing. The scripts find the same out exactly (a head, a cursor or a text that lies behind
 * what its owner knows), but only for what is written next; this finds it for what is at rest.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import type { StoreWatch, StoreWatchHandlers } from './bus.js'
import type { Lanes } from './lanes.js'

/** How long lost events of idle sessions stay unnoticed at most, beyond the failover itself. Some 10 µs of the server for each lane. */
const LOOK_MS = 500
const RETRY_MS = 50

export class StoreIdentity implements StoreWatch {
  readonly #script = new Script(new URL('./lua/identity.lua', import.meta.url))
  /** By lane; undefined before the first answer. */
  readonly #known: (string | undefined)[]
  readonly #looking = new Map<number, Promise<boolean>>()
  readonly #timer: NodeJS.Timeout
  #stopped = false
  readonly #onReady = () => void this.#lookAtAll()

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
    private readonly handlers: StoreWatchHandlers,
  ) {
    this.#known = new Array(lanes.count).fill(undefined)
    this.#timer = setInterval(this.#onReady, LOOK_MS)
    redis.on('ready', this.#onReady)
    this.#onReady()
  }

  async check(): Promise<void> {
    await Promise.all(this.#known.map((_, lane) => this.#untilAnswered(lane)))
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.redis.off('ready', this.#onReady)
  }

  async #lookAtAll(): Promise<void> {
    await Promise.all(this.#known.map((_, lane) => this.#look(lane)))
  }

  /** The look under way may have been answered by the former server, before the caller had reason to ask. */
  async #untilAnswered(lane: number): Promise<void> {
    await this.#looking.get(lane)
    while (!this.#stopped && !(await this.#look(lane))) await sleep(RETRY_MS)
  }

  /** One question at a time for each lane, so that answers come in the order of the servers. False when there was none. */
  #look(lane: number): Promise<boolean> {
    const present = this.#looking.get(lane)
    if (present) return present
    const looking = this.#ask(lane).finally(() => this.#looking.delete(lane))
    this.#looking.set(lane, looking)
    return looking
  }

  async #ask(lane: number): Promise<boolean> {
    try {
      const reply = await this.#script.run(this.redis, this.lanes.lane(lane).shard(0))
      if (!this.#stopped) this.#compare(lane, reply.join(' '))
      return true
    } catch {
      // Redis is away, which its connection has logged.
      return false
    }
  }

  #compare(lane: number, identity: string): void {
    const known = this.#known[lane]
    this.#known[lane] = identity
    if (known === undefined) return
    const isAffected = (shard: number) => this.lanes.laneOfShard(shard) === lane
    if (known === identity) this.handlers.onSame(isAffected)
    else this.handlers.onChanged(isAffected)
  }
}
