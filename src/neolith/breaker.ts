/**
 * Keeps calls away from a server that does not work: after some failures in a row nothing is sent for a while, then one call
 * tries, and its outcome decides for the others.
 *
 *   closed ─ failures in a row ─▶ open ─ pause over ─▶ half-open ─ the one call ─▶ closed, or open for twice as long
 */

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Fewer may be chance: a server that restarts, a load balancer that lost one of its servers. */
const FAILURES_TO_OPEN = 5
const FIRST_PAUSE_MS = 2_000
/** The longest that a server which is back waits for us. */
const MAX_PAUSE_MS = 30_000

export interface BreakerOptions {
  /** Monotonic, in ms. */
  readonly clock: () => number
  readonly onState?: (state: BreakerState) => void
}

export class Breaker {
  #state: BreakerState = 'closed'
  #failures = 0
  #pauseMs = FIRST_PAUSE_MS
  #openedAt = 0

  constructor(private readonly options: BreakerOptions) {}

  get state(): BreakerState {
    return this.#state
  }

  /** Undefined: the call may go, and `succeeded` or `failed` must follow. Else the time in ms after which to ask again. */
  admit(): number | undefined {
    if (this.#state === 'closed') return undefined
    const leftMs = this.#openedAt + this.#pauseMs - this.options.clock()
    if (leftMs > 0) return leftMs
    // A half-open breaker whose call never came back opens for another one after the same pause.
    this.#openedAt = this.options.clock()
    this.#become('half-open')
    return undefined
  }

  /** The server answered, be it with a refusal. */
  succeeded(): void {
    this.#failures = 0
    this.#pauseMs = FIRST_PAUSE_MS
    this.#become('closed')
  }

  failed(): void {
    if (this.#state === 'open') return
    this.#failures += 1
    if (this.#state === 'half-open') this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS)
    else if (this.#failures < FAILURES_TO_OPEN) return
    this.#openedAt = this.options.clock()
    this.#become('open')
  }

  #become(state: BreakerState): void {
    if (state === this.#state) return
    this.#state = state
    this.options.onState?.(state)
  }
}
