/**
 * Measures between two moments; what happens before and after is accounted for, but not measured.
 */
import { Histogram } from './histogram.js'

export class Meter {
  readonly latency = new Histogram()
  #from = Number.POSITIVE_INFINITY
  #until = Number.POSITIVE_INFINITY
  #answers = 0

  /** Answers that came within the measured time. */
  get answers(): number {
    return this.#answers
  }

  get seconds(): number {
    return (this.#until - this.#from) / 1000
  }

  begin(): void {
    this.#from = performance.now()
  }

  end(): void {
    this.#until = performance.now()
  }

  /** An answer has come, to a request that was due at `dueAt`. Late ones count as late, also after the end. */
  answered(dueAt: number): void {
    const now = performance.now()
    if (now >= this.#from && now < this.#until) this.#answers++
    if (dueAt >= this.#from && dueAt < this.#until) this.latency.record(now - dueAt)
  }

  /** A request that was due at `dueAt` has no answer and gets none: it counts as late as it is by now. */
  gaveUp(dueAt: number): void {
    if (dueAt >= this.#from && dueAt < this.#until) this.latency.record(performance.now() - dueAt)
  }
}
