/**
 * What the watchers saw of all streams between two moments.
 */
import { Histogram, type LatencySummary } from '../generator/histogram.js'
import { ageMs, PIECE_CHARS } from './piece.js'

/** Of what must not happen, for the report. */
const SHOWN_FAULTS = 5

export interface StreamReport {
  readonly seconds: number
  readonly flushes: number
  readonly pieces: number
  /**
   * In ms, of each flush: from when its first piece left the model until the client had it, less the time for which the
   * worker held that piece back on purpose.
   */
  readonly added: LatencySummary
  /** In ms, of each flush: the same with the time of gathering. */
  readonly whole: LatencySummary
  readonly faults: readonly string[]
}

export class StreamMeter {
  #added = new Histogram()
  #whole = new Histogram()
  #pieces = 0
  #from = performance.now()
  #faults: string[] = []
  #faultCount = 0

  begin(): void {
    this.#added = new Histogram()
    this.#whole = new Histogram()
    this.#pieces = 0
    this.#from = performance.now()
  }

  /** Text of `frame` from `from` to `to` has come; `gatheredMs` is what the worker says. */
  flushed(frame: string, from: number, to: number, gatheredMs: number): void {
    const now = performance.now()
    const age = ageMs(frame, from, now)
    if ((to - from) % PIECE_CHARS !== 0 || Number.isNaN(age)) {
      this.fault(`text that the model never wrote: ${frame.slice(from, to)}`)
      return
    }
    this.#pieces += (to - from) / PIECE_CHARS
    this.#whole.record(age)
    this.#added.record(Math.max(0, age - gatheredMs))
  }

  fault(what: string): void {
    this.#faultCount++
    if (this.#faults.length < SHOWN_FAULTS) this.#faults.push(what)
  }

  /** Faults are those since the last report. */
  report(): StreamReport {
    const faults = this.#faults
    const more = this.#faultCount - faults.length
    this.#faults = []
    this.#faultCount = 0
    return {
      seconds: (performance.now() - this.#from) / 1_000,
      flushes: this.#added.count,
      pieces: this.#pieces,
      ...{ added: this.#added.summary(), whole: this.#whole.summary() },
      faults: [...faults, ...(more > 0 ? [`and ${more} more`] : [])],
    }
  }
}
