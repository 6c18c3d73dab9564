/**
 * What one connection may ask in a short time: requests cost points, points come back evenly. It stands beside the allowance
 * of the principal, which counts messages of all its connections; this one weighs what they ask for.
 */

/** The reference's figures: a burst, and what comes back in a second. */
const CAPACITY = 100
const PER_SECOND = 20
const MS_PER_SECOND = 1_000

export class TokenBucket {
  readonly #now: () => number
  #points = CAPACITY
  #at: number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#at = now()
  }

  /** Undefined when the request may pass; otherwise after so many ms it may. */
  take(cost: number): number | undefined {
    const now = this.#now()
    this.#points = Math.min(CAPACITY, this.#points + ((now - this.#at) / MS_PER_SECOND) * PER_SECOND)
    this.#at = now
    if (this.#points < cost) return Math.ceil(((cost - this.#points) / PER_SECOND) * MS_PER_SECOND)
    this.#points -= cost
    return undefined
  }
}
