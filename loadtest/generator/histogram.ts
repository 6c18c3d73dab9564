/**
 * Latencies in fixed memory: every doubling is divided into the same number of buckets, so that any percentile is right to
 * 1.6 % whatever the range, and recording costs a few instructions.
 */

/** 64 buckets for each doubling: the width of a bucket is at most 1/64 of its value. */
const BITS = 6
const BUCKETS = 1 << BITS
/** About 67 s in µs; what takes longer counts as that, and `max` still says how long it took. */
const MAX_EXPONENT = 26
const SIZE = (MAX_EXPONENT - BITS + 1) * BUCKETS

const US_PER_MS = 1_000

/** All in milliseconds. */
export interface LatencySummary {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export class Histogram {
  readonly #counts = new Float64Array(SIZE)
  #count = 0
  #maxMs = 0

  get count(): number {
    return this.#count
  }

  /** Negative values, which a clock that steps may cause, count as 0. */
  record(ms: number): void {
    const index = indexOf(Math.max(0, Math.round(ms * US_PER_MS)))
    this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#count++
    if (ms > this.#maxMs) this.#maxMs = ms
  }

  /** The value below or at which `fraction` of all values lie, in ms; 0 when nothing was recorded. */
  quantile(fraction: number): number {
    const wanted = Math.max(1, Math.ceil(fraction * this.#count))
    let seen = 0
    for (let index = 0; index < SIZE; index++) {
      seen += this.#counts[index] ?? 0
      if (seen >= wanted) return Math.min(highestOf(index) / US_PER_MS, this.#maxMs)
    }
    return this.#maxMs
  }

  summary(): LatencySummary {
    const at = (fraction: number): number => Number(this.quantile(fraction).toFixed(3))
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: Number(this.#maxMs.toFixed(3)) }
  }
}

/** Values below 64 µs have a bucket each; above, the six bits after the leading one choose it. */
function indexOf(us: number): number {
  if (us < BUCKETS) return us
  const exponent = Math.floor(Math.log2(us))
  if (exponent >= MAX_EXPONENT) return SIZE - 1
  const group = exponent - BITS
  return group * BUCKETS + Math.floor(us / 2 ** group)
}

/** The largest value of a bucket, in µs. */
function highestOf(index: number): number {
  if (index < BUCKETS) return index
  const group = Math.floor(index / BUCKETS) - 1
  return (index - group * BUCKETS + 1) * 2 ** group - 1
}
