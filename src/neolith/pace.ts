/**
 * So many messages in a minute and no more, in the order in which they are asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises'

const MINUTE_MS = 60_000
/** Of a minute's messages so many may go at once. */
const BURST_SHARE = 0.25

export interface PaceTime {
  /** Monotonic, in ms. */
  now(): number
  /** @throws the reason of `signal` */
  sleep(ms: number, signal: AbortSignal): Promise<unknown>
}

const realTime: PaceTime = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
}

export class Pace {
  #perMinute: number
  #tokens: number
  #at: number
  #turn: Promise<void> = Promise.resolve()

  constructor(
    perMinute: number,
    private readonly time: PaceTime = realTime,
  ) {
    this.#perMinute = perMinute
    this.#tokens = this.#burst
    this.#at = time.now()
  }

  get perMinute(): number {
    return this.#perMinute
  }

  set perMinute(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** Resolves when the next message may go. @throws the reason of `signal` */
  next(signal: AbortSignal): Promise<void> {
    const turn = this.#turn.then(() => this.#wait(signal))
    // Whoever gives up gives its turn to the next one.
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  get #burst(): number {
    return Math.max(1, Math.floor(this.#perMinute * BURST_SHARE))
  }

  async #wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#refill()
    if (this.#tokens < 1) {
      await this.time.sleep(((1 - this.#tokens) * MINUTE_MS) / this.#perMinute, signal)
      this.#refill()
    }
    this.#tokens -= 1
  }

  #refill(): void {
    const now = this.time.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#perMinute) / MINUTE_MS)
    this.#at = now
  }
}
