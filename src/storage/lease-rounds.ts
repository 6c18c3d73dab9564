/**
 * Rounds in which a process looks for rows that are due and under nobody's lease, and after the rows that it holds.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export interface LeaseRoundsOptions {
  readonly round: () => Promise<void>
  /** From the end of one round to the next. */
  readonly pauseMs: number
  /** `isFirst`: the round before did not fail. A database that is away for minutes fails every one. */
  readonly onFailed: (error: unknown, isFirst: boolean) => void
}

export class LeaseRounds {
  readonly #options: LeaseRoundsOptions
  #wake = new AbortController()
  #failing = false

  constructor(options: LeaseRoundsOptions) {
    this.#options = options
  }

  /** There may be something to do at once. */
  nudge(): void {
    this.#wake.abort()
  }

  /** Goes on until `signal` ends it, with the round under way. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const nudge = (): void => this.nudge()
    signal.addEventListener('abort', nudge)
    while (!signal.aborted) {
      // Before the round: what comes while it looks must wake the next one.
      this.#wake = new AbortController()
      await this.#attempt()
      if (!signal.aborted) await this.#pause()
    }
    signal.removeEventListener('abort', nudge)
  }

  async #attempt(): Promise<void> {
    const { round, onFailed } = this.#options
    try {
      await round()
      this.#failing = false
    } catch (error) {
      onFailed(error, !this.#failing)
      this.#failing = true
    }
  }

  async #pause(): Promise<void> {
    await sleep(this.#options.pauseMs, undefined, { signal: this.#wake.signal, ref: false }).catch(() => undefined)
  }
}
