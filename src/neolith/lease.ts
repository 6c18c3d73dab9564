/**
 * The right to do something alone among the nodes of a cluster, which ends unless it is renewed. It may be doubled for
 * seconds when Redis loses writes: what it guards must be harmless when done twice.
 */
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'

export interface Lease {
  /** Takes or prolongs it. False when somebody else has it. */
  hold(forMs: number): Promise<boolean>
  /** Gives it back, if it is still held. */
  leave(): Promise<void>
}

export class RedisLease implements Lease {
  readonly #script = new Script(new URL('./lua/lease.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly key: string,
    private readonly holder: string,
  ) {}

  async hold(forMs: number): Promise<boolean> {
    const [word] = await this.#script.run(this.redis, this.key, this.holder, forMs)
    return word === 'held'
  }

  async leave(): Promise<void> {
    await this.#script.run(this.redis, this.key, this.holder, 0)
  }
}

/** Of a process without others. */
export const soleLease: Lease = { hold: async () => true, leave: async () => undefined }
