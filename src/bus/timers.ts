/**
 * Durable timers of sessions in Redis: one sorted set a shard, written by its owner alone and judged by the server's clock.
 */
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import { ScriptBatch } from '../redis/script-batch.js'
import { type Claim, LIMITS, type Refused, type ShardTimers, type Timer, type TimerName, type Timers } from './bus.js'
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
  readonly #due = new Script(new URL('./lua/due-timers.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
  ) {
    const set = new Script(new URL('./lua/set-timers.lua', import.meta.url))
    const options = { chars: CHARS_PER_CALL, refused }
    this.#set = new ScriptBatch(redis, set, { ...options, items: TIMERS_PER_CALL, head: (base) => [base] })
  }

  set(claim: Claim, timer: Timer, inMs: number): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, timer, String(Math.max(0, Math.round(inMs))), timer.note)
  }

  clear(claim: Claim, name: TimerName): Promise<{ readonly status: 'ok' } | Refused> {
    return this.#change(claim, name, '-', '')
  }

  async due(claims: readonly Claim[]): Promise<readonly ShardTimers[]> {
    const calls = this.lanes.calls(claims, ({ shard }) => shard, SHARDS_PER_CALL)
    return (await Promise.all(calls.map((some) => this.#dueOf(some)))).flat()
  }

  /** Asks for shards of one lane. */
  async #dueOf(claims: readonly Claim[]): Promise<ShardTimers[]> {
    const [first] = claims
    if (!first) return []
    const keys = this.lanes.ofShard(first.shard)
    const shards = claims.flatMap(({ shard, epoch }) => [shard, epoch])
    const reply = await this.#due.run(this.redis, keys.shard(first.shard), keys.base, LIMITS.dueTimers, ...shards)
    return shardTimers(reply as readonly string[], claims)
  }

  async #change({ shard, epoch }: Claim, { sessionId, name }: TimerName, ms: string, note: string) {
    const keys = this.lanes.ofShard(shard)
    const args = [`${shard} ${epoch} ${ms}`, `${sessionId} ${name}`, note]
    const reply = await this.#set.run(keys.base, keys.shard(shard), args)
    return refusal(words(reply)) ?? ({ status: 'ok' } as const)
  }
}

/** What `due-timers.lua` says, by the place of each shard among those that were asked for. */
function shardTimers(reply: readonly string[], claims: readonly Claim[]): ShardTimers[] {
  const told: ShardTimers[] = []
  for (let at = 0; at < reply.length; ) {
    const [status = '', place, number] = (reply[at] ?? '').split(' ')
    const claim = claims[Number(place)]
    if (!claim) throw new Error(`due-timers.lua answered ${reply[at]}`)
    const next = at + 1 + (status === 'ok' ? TIMER_VALUES * Number(number) : 0)
    const refused = refusal([status, number])
    told.push({ claim, reply: refused ?? { status: 'ok', timers: timersOf(reply.slice(at + 1, next)) } })
    at = next
  }
  return told
}

function timersOf(values: readonly string[]): Timer[] {
  const timers: Timer[] = []
  for (let at = 0; at < values.length; at += TIMER_VALUES) {
    const [sessionId = '', name = ''] = (values[at] ?? '').split(' ')
    timers.push({ sessionId, name, note: values[at + 1] ?? '' })
  }
  return timers
}
