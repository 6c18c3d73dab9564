/**
 * Durable timers of sessions in Redis: one sorted set a shard, written by its owner alone and judged by the server's clock.
 */
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import { ScriptBatch } from '../redis/script-batch.js'
import { type Claim, type DueTimers, LIMITS, type Refused, type Timer, type TimerName, type Timers } from './bus.js'
import type { Lanes } from './lanes.js'
import { refusal, refused, words } from './replies.js'

/** Some 3 µs of the server each. */
const TIMERS_PER_CALL = 64
/** A shard where nothing is due costs 2 µs. */
const SHARDS_PER_CALL = 64
const CHARS_PER_CALL = 256 * 1024
/** Values that `due` returns for each timer: its name and its note. */
const TIMER_VALUES = 2

export class RedisTimers implements Timers {
  readonly #set: ScriptBatch
  readonly #due: ScriptBatch

  constructor(
    redis: RedisClient,
    private readonly lanes: Lanes,
  ) {
    const set = new Script(new URL('./lua/set-timers.lua', import.meta.url))
    const due = new Script(new URL('./lua/due-timers.lua', import.meta.url))
    const options = { chars: CHARS_PER_CALL, refused }
    this.#set = new ScriptBatch(redis, set, { ...options, items: TIMERS_PER_CALL, head: (base) => [base] })
    this.#due = new ScriptBatch(redis, due, {
      ...{ ...options, items: SHARDS_PER_CALL, head: (base) => [base, LIMITS.dueTimers] },
      following: (line) => (line.startsWith('ok ') ? TIMER_VALUES * Number(line.split(' ')[1]) : 0),
    })
  }

  set(claim: Claim, timer: Timer, inMs: number): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, timer, String(Math.max(0, Math.round(inMs))), timer.note)
  }

  clear(claim: Claim, name: TimerName): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, name, '-', '')
  }

  async due({ shard, epoch }: Claim): Promise<DueTimers | Refused> {
    const keys = this.lanes.ofShard(shard)
    const reply = await this.#due.run(keys.base, keys.shard(shard), [shard, epoch])
    const refused = refusal(words(reply))
    if (refused) return refused
    const timers: Timer[] = []
    for (let at = 1; at < reply.length; at += TIMER_VALUES) {
      const [sessionId = '', name = ''] = (reply[at] ?? '').split(' ')
      timers.push({ sessionId, name, note: reply[at + 1] ?? '' })
    }
    return { status: 'ok', timers }
  }

  async #change({ shard, epoch }: Claim, { sessionId, name }: TimerName, ms: string, note: string) {
    const keys = this.lanes.ofShard(shard)
    const args = [`${shard} ${epoch} ${ms}`, `${sessionId} ${name}`, note]
    const reply = await this.#set.run(keys.base, keys.shard(shard), args)
    return refusal(words(reply)) ?? ({ status: 'ok' } as const)
  }
}
