/**
 * For how long the text of a message is gathered before it is written: 20 ms, and up to 100 ms where writes are slow.
 *
 * Load is measured by how late text is kept: from when it was due until the store has it. That grows whichever is busy (this
 * loop, the store, the machine, a session's earlier write), it is what the reader waits beyond the gathering, and it needs no
 * timer of its own. Only how much text goes out together depends on it: never its order, its bytes, or that it is kept
 * before it is shown.
 *
 *   mean of half a second:    ≤ calm         calm … busy        > busy
 *   the interval              falls          stays              rises
 *                             after 2 s      falls after 20 s   at once
 */

/** A reader sees text as it comes; a worker at ease need not save writes. */
export const MIN_INTERVAL_MS = 20
/** Ten times a second still reads as a stream, and a token every 50 ms then costs half of the writes. */
export const MAX_INTERVAL_MS = 100
/** Long enough that one collection of garbage does not move the mean, short against the patience of a reader. */
const WINDOW_MS = 500
/** A mean above this comes with a p99 above the 15 ms that streamed text may be late. */
const BUSY_MS = 6
/** What a write takes in a healthy cluster; well below busy, because a longer interval makes writes faster. */
const CALM_MS = 3
/** Relief must come within some windows: 20 ms are 100 ms after four. */
const RISE = 1.5
/** It falls in small steps, so that one that was too far is small too. */
const FALL_MS = 10
/** At ease for so long, a step down is safe. */
const CALM_FOR_MS = 2_000
/** A store that is far away is never calm: it is tried from time to time. */
const TRY_AFTER_MS = 20_000

export class FlushInterval {
  readonly #now: () => number
  #ms = MIN_INTERVAL_MS
  #windowFrom = 0
  #flushes = 0
  #lateMs = 0
  /** Since when the mean was never above calm, and never above busy. */
  #calmSince = 0
  #easySince = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get ms(): number {
    return this.#ms
  }

  /** A flush is kept, so long after it was due. */
  kept(lateMs: number): void {
    const now = this.#now()
    if (now - this.#windowFrom >= WINDOW_MS) this.#endWindow(now)
    this.#flushes += 1
    this.#lateMs += lateMs
  }

  #endWindow(now: number): void {
    const isRecent = now - this.#windowFrom < CALM_FOR_MS
    if (this.#flushes > 0 && isRecent) this.#judge(this.#lateMs / this.#flushes, now)
    // Nobody streamed meanwhile: what was known of the load is no longer true.
    if (!isRecent) this.#restart(now)
    this.#windowFrom = now
    this.#flushes = 0
    this.#lateMs = 0
  }

  #restart(now: number): void {
    this.#ms = MIN_INTERVAL_MS
    this.#calmSince = now
    this.#easySince = now
  }

  #judge(meanMs: number, now: number): void {
    if (meanMs > CALM_MS) this.#calmSince = now
    if (meanMs > BUSY_MS) {
      this.#easySince = now
      this.#ms = Math.min(MAX_INTERVAL_MS, Math.round(this.#ms * RISE))
    } else if (now - this.#calmSince >= CALM_FOR_MS || now - this.#easySince >= TRY_AFTER_MS) {
      this.#calmSince = now
      this.#easySince = now
      this.#ms = Math.max(MIN_INTERVAL_MS, this.#ms - FALL_MS)
    }
  }
}
