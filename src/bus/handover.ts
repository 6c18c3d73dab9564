/**
 * Pins in Redis: a field of the session that its writes are checked against, and a hash per shard for those who look for
 * them.
 */
import type { SessionId } from '../protocol/ids.js'
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import type { Claim, Handover, Pin, Refused } from './bus.js'
import type { Lanes } from './lanes.js'
import { pinsOf, refusal } from './replies.js'

export class RedisHandover implements Handover {
  readonly #pin = new Script(new URL('./lua/pin.lua', import.meta.url))
  readonly #pins = new Script(new URL('./lua/pins.lua', import.meta.url))
  readonly #unpin = new Script(new URL('./lua/unpin.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
  ) {}

  async pin({ shard, owner, epoch }: Claim, sessionIds: readonly SessionId[]) {
    const keys = this.lanes.ofShard(shard)
    const reply = await this.#pin.run(this.redis, keys.shard(shard), keys.base, owner, epoch, ...sessionIds)
    const refused: Refused | undefined = refusal(reply)
    return refused ?? { status: 'ok' as const, pinned: reply.slice(1) as SessionId[] }
  }

  async unpin({ shard, epoch }: Claim, sessionIds: readonly SessionId[]): Promise<readonly SessionId[]> {
    const keys = this.lanes.ofShard(shard)
    const reply = await this.#unpin.run(this.redis, keys.shard(shard), keys.base, epoch, ...sessionIds)
    return reply.slice(1) as SessionId[]
  }

  async pins(shard: number): Promise<{ readonly epoch: number; readonly pins: readonly Pin[] }> {
    const [epoch, ...pins] = await this.#pins.run(this.redis, this.lanes.ofShard(shard).shard(shard))
    return { epoch: Number(epoch), pins: pinsOf(pins as string[]) }
  }
}
