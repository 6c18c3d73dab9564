/**
 * The count of all workers, in Redis: one key for each tenant, whose hash tag the others share.
 */
import type { RedisClient } from '../redis/connect.js'
import { budgetKey } from '../redis/keys.js'
import { type Argument, Script, type ScriptReply } from '../redis/script.js'
import {
  type Crossing,
  EXCEEDED,
  MAX_EXPIRED,
  type Meter,
  RESERVATION_KEEP_MS,
  type Reservation,
  type Reserved,
  SESSION_KEEP_MS,
  SETTLED_SLICE_MS,
  type Settled,
  type Settlement,
  WINDOW_KEEP_MS,
  type WindowState,
} from './meter.js'
import { type Window, windowOf } from './periods.js'

/** A window ends while it is asked for, or the clock of this process is not the server's. More than twice is neither. */
const MAX_MOVES = 3

export class RedisMeter implements Meter {
  readonly #reserve = new Script(new URL('./lua/reserve.lua', import.meta.url))
  readonly #settle = new Script(new URL('./lua/settle.lua', import.meta.url))
  /** The server's clock less this process's, in ms. */
  #offsetMs = 0

  constructor(
    private readonly redis: RedisClient,
    private readonly cluster: string,
  ) {}

  async reserve(reservation: Reservation): Promise<Reserved> {
    const { tenant, place, attempt, want, least, ttlMs, limits, ledger } = reservation
    const key = budgetKey(this.cluster, tenant)
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      const windows = limits.map((limit) => windowOf(limit, Date.now() + this.#offsetMs))
      const life = [MAX_EXPIRED, WINDOW_KEEP_MS, SESSION_KEEP_MS, RESERVATION_KEEP_MS]
      const head = [place, attempt, want, least, ttlMs, ...life]
      const args = windows.flatMap((window) => asked(window, ledger))
      const reply = await this.#reserve.run(this.redis, key, ...head, ...args)
      const at = Number(reply[1])
      if (reply[0] !== 'moved') return reservedOf(reply, windows, at)
      // Not learned from every reply: the way of a reply is no difference between clocks.
      this.#offsetMs = at - Date.now()
    }
    throw new Error('the clock of Redis jumps: the windows of budgets do not stand still')
  }

  async settle({ tenant, place, attempt, tokens, windows, thresholds }: Settlement): Promise<Settled> {
    const head = [place, attempt, tokens, SETTLED_SLICE_MS, thresholds.join(' '), WINDOW_KEEP_MS, SESSION_KEEP_MS]
    const args = windows.flatMap(({ name, end, tokens: limit }) => [name, end, limit])
    const reply = await this.#settle.run(this.redis, budgetKey(this.cluster, tenant), ...head, ...args)
    if (reply[0] === 'dup') return { windows: undefined, crossed: [] }
    const crossed: Crossing[] = []
    const states = windows.map((window, i) => {
      const [used, held, ...thresholdsReached] = reply[i + 1] as readonly string[]
      const state = { ...window, used: Number(used), held: Number(held) }
      for (const threshold of thresholdsReached) crossed.push({ window: state, threshold: Number(threshold) })
      return state
    })
    return { windows: states, crossed }
  }
}

function asked({ name, start, end, tokens }: Window, ledger: Reservation['ledger']): readonly Argument[] {
  return [name, start, end, tokens, ledger.has(name) ? (ledger.get(name) ?? '?') : '']
}

function reservedOf(reply: ScriptReply, windows: readonly Window[], at: number): Reserved {
  const [status, , ...words] = reply
  const rest: readonly unknown[] = words
  if (status === 'missing') return { status, windows: windows.filter((_, i) => rest.includes(i + 1)), at }
  if (status === 'ok') {
    const [tokens, ...states] = rest as readonly [string, ...(readonly [string, string])[]]
    const withState = windows.map((window, i) => stateOf(window, states[i] ?? ['0', '0']))
    return { status: 'granted', tokens: Number(tokens), at, windows: withState }
  }
  const [position, used, held, first] = rest as readonly [number, string, string, string]
  const refusing = windows[position - 1]
  if (!refusing || (status !== 'spent' && status !== 'held')) throw new Error(`reserve answered ${String(status)}`)
  const window = stateOf(refusing, [used, held])
  return { status, window, crossed: first === '1' ? [{ window, threshold: EXCEEDED }] : [], at }
}

const stateOf = (window: Window, [used, held]: readonly [string, string]): WindowState => ({
  ...window,
  used: Number(used),
  held: Number(held),
})
