/**
 * The count of one process that is alone. What it forgets when it ends, the ledger tells it again.
 */
import {
  type Crossing,
  EXCEEDED,
  MAX_EXPIRED,
  type Meter,
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

/** Counts are looked through for those that nobody needs any more, at most so often. */
const SWEEP_MS = 60_000

interface Count {
  used: number
  held: number
  /** The ledger has been asked. */
  isKnown: boolean
  /** Percent that was told, of which limit. */
  told: number
  toldOf: number | undefined
  goesAt: number
}

interface Open {
  readonly attempt: string
  readonly tokens: number
  readonly keys: readonly string[]
  readonly expiresAt: number
}

export class MemoryMeter implements Meter {
  readonly #counts = new Map<string, Count>()
  /** By place, in the order of their reservation, which is nearly that of their end. */
  readonly #open = new Map<string, Open>()
  readonly #settled = new Map<number, Set<string>>()
  #sweptAt = 0

  constructor(private readonly now: () => number = Date.now) {}

  async reserve(reservation: Reservation): Promise<Reserved> {
    const { tenant, place, attempt, want, least, ttlMs, limits, ledger } = reservation
    const at = this.now()
    this.#sweep(at)
    const windows = limits.map((limit) => windowOf(limit, at))
    const missing = windows.filter(({ name }) => !this.#counts.get(key(tenant, name))?.isKnown && !ledger.has(name))
    if (missing.length > 0) return { status: 'missing', windows: missing, at }

    for (const { name, end } of windows) this.#learn(key(tenant, name), ledger.get(name), goesAt(end, at))
    this.#expire(at)
    const id = key(tenant, place)
    const before = this.#open.get(id)
    if (before?.attempt === attempt)
      return { status: 'granted', tokens: before.tokens, at, windows: this.#states(tenant, windows) }
    if (before) this.#free(id, before)
    let tokens = want
    for (const window of windows) {
      const count = this.#count(key(tenant, window.name))
      const left = window.tokens - count.used
      if (left < least || left - count.held < least) return this.#refusal(window, count, left < least, at)
      tokens = Math.min(tokens, left - count.held)
    }
    tokens = Math.max(tokens, 0)
    if (tokens > 0)
      this.#hold(id, { attempt, tokens, keys: windows.map(({ name }) => key(tenant, name)), expiresAt: at + ttlMs })
    return { status: 'granted', tokens, at, windows: this.#states(tenant, windows) }
  }

  async settle({ tenant, place, attempt, tokens, windows, thresholds }: Settlement): Promise<Settled> {
    const at = this.now()
    const id = key(tenant, place)
    if (!this.#firstWord(`${id} ${attempt}`, at)) return { windows: undefined, crossed: [] }
    const open = this.#open.get(id)
    if (open?.attempt === attempt) this.#free(id, open)
    const crossed: Crossing[] = []
    for (const window of windows) {
      const count = this.#count(key(tenant, window.name), goesAt(window.end, at))
      const told = count.toldOf === window.tokens ? count.told : (count.used * 100) / window.tokens
      count.used += tokens
      count.toldOf = window.tokens
      const reached = thresholds.filter((it) => it > told && count.used * 100 >= it * window.tokens)
      count.told = Math.max(told, ...reached)
      for (const threshold of reached) crossed.push({ window: { ...window, ...stateOf(count) }, threshold })
    }
    return { windows: this.#states(tenant, windows), crossed }
  }

  #count(id: string, keptUntil = 0): Count {
    const count = this.#counts.get(id) ?? { used: 0, held: 0, isKnown: false, told: 0, toldOf: undefined, goesAt: 0 }
    count.goesAt = Math.max(count.goesAt, keptUntil)
    this.#counts.set(id, count)
    return count
  }

  #learn(id: string, ledger: number | undefined, keptUntil: number): void {
    const count = this.#count(id, keptUntil)
    if (count.isKnown || ledger === undefined) return
    count.used = Math.max(count.used, ledger)
    count.isKnown = true
  }

  #refusal(window: Window, count: Count, isSpent: boolean, at: number): Reserved {
    const state = { ...window, ...stateOf(count) }
    const isFirst = isSpent && !(count.toldOf === window.tokens && count.told >= EXCEEDED)
    if (isFirst) {
      count.told = EXCEEDED
      count.toldOf = window.tokens
    }
    const crossed = isFirst ? [{ window: state, threshold: EXCEEDED }] : []
    return { status: isSpent ? 'spent' : 'held', window: state, crossed, at }
  }

  #hold(id: string, open: Open): void {
    this.#open.set(id, open)
    for (const each of open.keys) this.#count(each).held += open.tokens
  }

  #free(id: string, { keys, tokens }: Open): void {
    this.#open.delete(id)
    for (const each of keys) {
      const count = this.#counts.get(each)
      if (count) count.held -= tokens
    }
  }

  #expire(at: number): void {
    let seen = 0
    for (const [id, open] of this.#open) {
      if (++seen > MAX_EXPIRED) return
      if (open.expiresAt <= at) this.#free(id, open)
    }
  }

  /** False when the call was settled in this slice of time or the one before. */
  #firstWord(step: string, at: number): boolean {
    const slice = Math.floor(at / SETTLED_SLICE_MS)
    for (const each of this.#settled.keys()) if (each < slice - 1) this.#settled.delete(each)
    if (this.#settled.get(slice - 1)?.has(step)) return false
    const current = this.#settled.get(slice) ?? new Set()
    this.#settled.set(slice, current)
    if (current.has(step)) return false
    current.add(step)
    return true
  }

  #states(tenant: string, windows: readonly Window[]): WindowState[] {
    return windows.map((window) => ({ ...window, ...stateOf(this.#count(key(tenant, window.name))) }))
  }

  #sweep(at: number): void {
    if (at - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = at
    for (const [id, { goesAt: end }] of this.#counts) if (end < at) this.#counts.delete(id)
  }
}

const key = (tenant: string, name: string): string => `${tenant} ${name}`
const goesAt = (end: number, at: number): number => (end === 0 ? at + SESSION_KEEP_MS : end + WINDOW_KEEP_MS)
const stateOf = ({ used, held }: Count) => ({ used, held })
