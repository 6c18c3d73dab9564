/**
 * Turns whose present step has outlived no owner yet: one of them may be what brings workers down. They begin one after the
 * other, so that a command which kills its worker is not counted against the harmless ones beside it until they, too, are
 * set aside.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** Long enough to see whether a turn kills its worker as it did before; those behind wait as long. */
const WATCHED_MS = 2_000

export class Suspects {
  #last: Promise<void> = Promise.resolve()

  constructor(private readonly watchedMs = WATCHED_MS) {}

  /**
   * Resolves when this turn may begin, or at once when it is aborted while it waits. The next one begins when the returned
   * function is called, or a while after this one did.
   */
  async begin(signal: AbortSignal): Promise<() => void> {
    const before = this.#last
    const ended = new AbortController()
    this.#last = before.then(() => sleep(this.watchedMs, undefined, { signal: ended.signal }).catch(() => undefined))
    await Promise.race([before, aborted(signal)])
    return () => ended.abort()
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
