/**
 * How many messages were sent under a name in the time that has just passed, wherever: counted by the clock of Redis.
 */
import type { RedisClient } from './connect.js'
import { messageCountsKey } from './keys.js'
import { Script } from './script.js'

/** So many points within `slices` slices of time, of which the present one is the last. */
export interface SlidingLimit {
  readonly points: number
  readonly sliceMs: number
  readonly slices: number
}

/** What was taken of a limit. */
export interface Taken {
  readonly granted: number
  /** Until some of what was taken no longer counts. */
  readonly nextInMs: number
}

export class MessageCounts {
  readonly #take = new Script(new URL('./lua/take-points.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly cluster: string,
  ) {}

  /** Takes as many of the points that are wanted as are left. */
  async take(name: string, wanted: number, { points, sliceMs, slices }: SlidingLimit): Promise<Taken> {
    const key = messageCountsKey(this.cluster, name)
    const [, granted, nextInMs] = await this.#take.run(this.redis, key, wanted, points, sliceMs, slices)
    return { granted: Number(granted), nextInMs: Number(nextInMs) }
  }
}
