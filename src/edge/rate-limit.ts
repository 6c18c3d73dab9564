/**
 * How many messages may be sent under a name in any time of a given length, wherever it is connected. The count lives in
 * Redis, shared by all edges; each edge leases points in chunks and spends them without asking anybody. In one process it
 * lives in memory.
 *
 *   message ─▶ leased point left? ─yes─▶ passes at once
 *                     └no─▶ lease a chunk ─granted─▶ passes
 *                                └──none left──▶ refused until some no longer count, without asking again
 */
import type { SlidingLimit, Taken } from '../redis/message-counts.js'
import type { EdgeLog } from './dependencies.js'
import type { RateLimitSettings } from './settings.js'
import type { MessageCounts } from './shared-counts.js'
import { SlidingWindow } from './sliding-window.js'

/** Undefined: the message may pass. Otherwise it is refused, and this many ms later it may not be. */
export type Admission = number | undefined

/**
 * A window is cut into this many slices, which begin and cease to count as a whole: what was sent counts for a tenth of
 * the window longer than it must. Finer ones cost memory and time of Redis for each message.
 */
const SLICES_PER_WINDOW = 20
/** A window may begin within a slice, and what is leased in one slice may be sent in the next. */
const MORE_SLICES = 2
/**
 * A lease is this part of the limit, so that an edge asks at most 200 times a window; what an edge has leased and not
 * spent within a slice, at most this part, is lost. Below 400 points every message is counted for itself.
 */
const LEASES_PER_WINDOW = 200
/** A client waits for its lease; longer than any healthy answer takes. */
const LEASE_TIMEOUT_MS = 250
/** While Redis does not answer, only one lease in this time waits for it; the others are counted here. */
const RETRY_STORE_AFTER_MS = 1_000

/** What all allowances go by. */
interface Terms {
  /** False: everybody may send as much as they like. */
  isOn: boolean
  /** Grows when the limit changes: what was leased or refused before counts no more. */
  version: number
}

export class RateLimit {
  readonly #terms: Terms = { isOn: false, version: 0 }
  readonly #shared: MessageCounts | undefined
  /** The only counter of one process; of many, what counts while Redis does not answer. */
  readonly #local = new SlidingWindow()
  readonly #trace: Pick<EdgeLog, 'info' | 'warn'>
  #limit: SlidingLimit = { points: 1, sliceMs: 1, slices: 1 }
  #chunk = 1
  #storeAwayUntil = 0
  #storeIsAway = false

  /** Without settings there is no limit, until some are adopted. */
  constructor(
    settings: RateLimitSettings | undefined,
    shared: MessageCounts | undefined,
    trace: Pick<EdgeLog, 'info' | 'warn'>,
  ) {
    this.#shared = shared
    this.#trace = trace
    this.adopt(settings)
  }

  get isOn(): boolean {
    return this.#terms.isOn
  }

  /** From now on this limit counts; what was sent counts against it, unless its window is another one. */
  adopt(settings: RateLimitSettings | undefined): void {
    this.#terms.isOn = settings !== undefined
    this.#terms.version += 1
    if (!settings) return
    const sliceMs = Math.ceil(settings.windowMs / SLICES_PER_WINDOW)
    this.#limit = { points: settings.max, sliceMs, slices: SLICES_PER_WINDOW + MORE_SLICES }
    this.#chunk = Math.max(1, Math.floor(settings.max / LEASES_PER_WINDOW))
  }

  /** The allowance of one name at this edge; all who send under it here must use the same one. */
  allowance(name: string): Allowance {
    return new Allowance((now) => this.#lease(name, now), this.#terms)
  }

  async #lease(name: string, now: number): Promise<Lease> {
    const here = (): Lease => this.#leaseOf(this.#local.take(name, this.#chunk, this.#limit))
    if (!this.#shared || now < this.#storeAwayUntil) return here()
    try {
      // Set ahead: whoever comes while this one waits for a silent Redis is counted here.
      if (this.#storeIsAway) this.#storeAwayUntil = now + RETRY_STORE_AFTER_MS
      const taken = await withTimeout(this.#shared.take(name, this.#chunk, this.#limit), LEASE_TIMEOUT_MS)
      this.#storeIsBack()
      return this.#leaseOf(taken)
    } catch (err) {
      this.#storeWentAway(err)
      return here()
    }
  }

  #leaseOf({ granted, nextInMs }: Taken): Lease {
    return { granted, forMs: granted > 0 ? this.#limit.sliceMs : Math.max(1, nextInMs) }
  }

  #storeWentAway(err: unknown): void {
    this.#storeAwayUntil = performance.now() + RETRY_STORE_AFTER_MS
    if (this.#storeIsAway) return
    this.#storeIsAway = true
    this.#trace.warn({ err }, 'Redis does not count messages now: until it does, every edge counts for itself')
  }

  #storeIsBack(): void {
    if (!this.#storeIsAway) return
    this.#storeIsAway = false
    this.#storeAwayUntil = 0
    this.#trace.info({}, 'Redis counts messages again')
  }
}

interface Lease {
  readonly granted: number
  /** How long the points hold; without any, until there may be some. */
  readonly forMs: number
}

/** What may still be sent under one name. Answers at once while leased points are left, and while it is refused. */
export class Allowance {
  readonly #lease: (now: number) => Promise<Lease>
  #left = 0
  /** Monotonic time at which the points left are worth nothing any more. */
  #endsAt = 0
  #refusedUntil = 0
  #leasing: Promise<void> | undefined
  readonly #terms: Readonly<Terms>
  /** Of the terms under which points were leased. */
  #version: number

  constructor(lease: (now: number) => Promise<Lease>, terms: Readonly<Terms> = { isOn: true, version: 0 }) {
    this.#lease = lease
    this.#terms = terms
    this.#version = terms.version
  }

  /** For how many ms everything is refused, as far as is known without asking. */
  refusedForMs(now = performance.now()): Admission {
    if (!this.#terms.isOn || this.#version !== this.#terms.version) return undefined
    return now < this.#refusedUntil ? Math.ceil(this.#refusedUntil - now) : undefined
  }

  /** Takes the right to one message. Never rejects. */
  take(now = performance.now()): Admission | Promise<Admission> {
    if (!this.#terms.isOn) return undefined
    if (this.#version !== this.#terms.version) this.#beginAnew()
    if (now < this.#refusedUntil) return Math.ceil(this.#refusedUntil - now)
    if (now >= this.#endsAt || this.#left === 0) return this.#takeLater()
    this.#left -= 1
    return undefined
  }

  #beginAnew(): void {
    this.#version = this.#terms.version
    this.#left = 0
    this.#refusedUntil = 0
  }

  /** All who wait share one lease, and ask again for what it did not give. */
  async #takeLater(): Promise<Admission> {
    for (;;) {
      this.#leasing ??= this.#renew().finally(() => {
        this.#leasing = undefined
      })
      await this.#leasing
      const now = performance.now()
      if (now < this.#refusedUntil) return Math.ceil(this.#refusedUntil - now)
      if (this.#left > 0) {
        this.#left -= 1
        return undefined
      }
    }
  }

  async #renew(): Promise<void> {
    // From before the question: a late answer must not make its points hold longer.
    const startedAt = performance.now()
    const { granted, forMs } = await this.#lease(startedAt)
    const endsAt = startedAt + forMs
    this.#left = granted
    if (granted > 0) this.#endsAt = endsAt
    else this.#refusedUntil = endsAt
  }
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
