/**
 * How busy this process was lately, in percent of one core.
 */

/** Over less than this, a share says more about the moment of asking than about the process. */
const MIN_INTERVAL_MS = 1_000
const MICROSECONDS_PER_MS = 1_000
const PERCENT = 100

export interface CpuClock {
  /** Monotonic, in ms. */
  now(): number
  usage(): { readonly user: number; readonly system: number }
}

const REAL: CpuClock = { now: () => performance.now(), usage: () => process.cpuUsage() }

export class CpuMeter {
  readonly #clock: CpuClock
  #since: { readonly at: number; readonly usedMs: number }
  #last: number | undefined

  constructor(clock: CpuClock = REAL) {
    this.#clock = clock
    this.#since = this.#read()
  }

  /** The share since the reading before, if that is a second ago; a reading that follows sooner repeats it. */
  percent(): number {
    const now = this.#read()
    const elapsedMs = now.at - this.#since.at
    const percent = shareOf(now.usedMs - this.#since.usedMs, elapsedMs)
    if (elapsedMs < MIN_INTERVAL_MS) return this.#last ?? percent
    this.#since = now
    this.#last = percent
    return percent
  }

  #read() {
    const { user, system } = this.#clock.usage()
    return { at: this.#clock.now(), usedMs: (user + system) / MICROSECONDS_PER_MS }
  }
}

const shareOf = (usedMs: number, elapsedMs: number): number =>
  elapsedMs <= 0 ? 0 : Math.round((usedMs / elapsedMs) * PERCENT * 10) / 10
