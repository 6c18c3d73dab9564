/**
 * How many messages a principal may send in a window, wherever it is connected. The count lives in Redis, shared by all
 * edges; each edge leases points in chunks and spends them without asking anybody. In one process it lives in memory.
 *
 *   message ─▶ leased point left? ─yes─▶ passes at once
 *                     └no─▶ lease a chunk ─granted─▶ passes
 *                                └──none left──▶ refused until the window ends, without asking again
 */
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { EdgeLog, RateLimitSettings, RateLimitStore } from './dependencies.js'

/** Undefined: the message may pass. Otherwise it is refused, and this many ms later it may not be. */
export type Admission = number | undefined

/**
 * A lease is this part of the limit, so that an edge asks at most 200 times a window; what an edge has leased and not
 * spent, at most this part, is lost to the other edges. Below 400 points every message is counted for itself.
 */
const LEASES_PER_WINDOW = 200
/** A client waits for its lease; longer than any healthy answer takes. */
const LEASE_TIMEOUT_MS = 250
/** While Redis does not answer, only one lease in this time waits for it; the others are counted here. */
const RETRY_STORE_AFTER_MS = 1_000

export class RateLimit {
  readonly #chunk: number
  readonly #shared: RateLimiterRedis | undefined
  /** The only counter of one process; of many, what counts while Redis does not answer. */
  readonly #local: RateLimiterMemory
  readonly #trace: Pick<EdgeLog, 'info' | 'warn'>
  #storeAwayUntil = 0
  #storeIsAway = false

  constructor(settings: RateLimitSettings, store: RateLimitStore | undefined, trace: Pick<EdgeLog, 'info' | 'warn'>) {
    const limit = { points: settings.max, duration: Math.ceil(settings.windowMs / 1000) }
    this.#chunk = Math.max(1, Math.floor(settings.max / LEASES_PER_WINDOW))
    this.#local = new RateLimiterMemory(limit)
    this.#shared = store && sharedLimiter(limit, store)
    this.#trace = trace
  }

  /** The allowance of one principal at this edge; all of its connections here must use the same one. */
  allowance(principal: string): Allowance {
    return new Allowance((now) => this.#lease(principal, now))
  }

  async #lease(principal: string, now: number): Promise<Lease> {
    if (!this.#shared || now < this.#storeAwayUntil) return this.#consume(this.#local, principal)
    try {
      // Set ahead: whoever comes while this one waits for a silent Redis is counted here.
      if (this.#storeIsAway) this.#storeAwayUntil = now + RETRY_STORE_AFTER_MS
      const lease = await withTimeout(this.#consume(this.#shared, principal), LEASE_TIMEOUT_MS)
      this.#storeIsBack()
      return lease
    } catch (err) {
      this.#storeWentAway(err)
      return this.#consume(this.#local, principal)
    }
  }

  async #consume(limiter: RateLimiterRedis | RateLimiterMemory, principal: string): Promise<Lease> {
    const answer = await limiter.consume(principal, this.#chunk).catch((refusal: unknown) => {
      if (refusal instanceof RateLimiterRes) return refusal
      throw refusal
    })
    // The last chunk of a window may be larger than what was left: then only the rest is granted.
    const before = answer.consumedPoints - this.#chunk
    const granted = Math.min(this.#chunk, Math.max(0, limiter.points - before))
    return { granted, forMs: Math.max(1, answer.msBeforeNext) }
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
  /** Until the window ends. */
  readonly forMs: number
}

/** What one principal may still send. Answers at once while leased points are left, and while it is refused. */
export class Allowance {
  readonly #lease: (now: number) => Promise<Lease>
  #left = 0
  /** Monotonic time at which the points left are worth nothing any more. */
  #endsAt = 0
  #refusedUntil = 0
  #leasing: Promise<void> | undefined

  constructor(lease: (now: number) => Promise<Lease>) {
    this.#lease = lease
  }

  /** Takes the right to one message. Never rejects. */
  take(now = performance.now()): Admission | Promise<Admission> {
    if (now < this.#refusedUntil) return Math.ceil(this.#refusedUntil - now)
    if (now >= this.#endsAt || this.#left === 0) return this.#takeLater()
    this.#left -= 1
    return undefined
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
    const { granted, forMs } = await this.#lease(performance.now())
    const endsAt = performance.now() + forMs
    this.#left = granted
    if (granted > 0) this.#endsAt = endsAt
    else this.#refusedUntil = endsAt
  }
}

function sharedLimiter(limit: { points: number; duration: number }, store: RateLimitStore): RateLimiterRedis {
  return new RateLimiterRedis({
    ...limit,
    storeClient: store.client,
    keyPrefix: store.prefix,
    // Otherwise each message would wait for a connection that is known to be lost.
    rejectIfRedisNotReady: true,
  })
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
