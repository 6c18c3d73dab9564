/**
 * Durable timers of the in-process bus: those of a shard are set by its owner alone, and kept with everything else.
 */
import { type Claim, LIMITS, type Refused, type ShardTimers, type Timer, type TimerName, type Timers } from '../bus.js'
import type { Durability } from './durability.js'
import type { MemoryShards } from './memory-shards.js'
import type { MemoryTimers } from './memory-timers.js'
import type { WriteGroup } from './write-group.js'

export class MemoryTimerStore implements Timers {
  constructor(
    private readonly shards: MemoryShards,
    private readonly durability: Durability,
  ) {}

  set(claim: Claim, timer: Timer, inMs: number): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, (timers, group) => timers.set(timer, inMs, group))
  }

  clear(claim: Claim, name: TimerName): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, (timers, group) => timers.clear(name, group))
  }

  async due(claims: readonly Claim[]): Promise<readonly ShardTimers[]> {
    return claims.flatMap((claim): ShardTimers[] => {
      const shard = this.shards.get(claim.shard)
      const refused = shard.refusal(claim)
      if (refused) return [{ claim, reply: refused }]
      const timers = shard.timers.due(LIMITS.dueTimers)
      return timers.length > 0 ? [{ claim, reply: { status: 'ok', timers } }] : []
    })
  }

  async #change(claim: Claim, change: (timers: MemoryTimers, group: WriteGroup) => void) {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim)
    if (refused) return refused
    const group = this.durability.group()
    change(shard.timers, group)
    await this.durability.keep(group)
    return { status: 'ok' } as const
  }
}
