/**
 * How many turns run at once on this worker. The rest wait: critical before high before medium before low, and first
 * come, first served among equals.
 */
import type { Priority } from '../protocol/session.js'

const ORDER: readonly Priority[] = ['critical', 'high', 'medium', 'low']

export type ReleaseSlot = () => void

interface Waiting {
  readonly grant: (release: ReleaseSlot) => void
}

export class TurnSlots {
  #free: number
  readonly #waiting = new Map<Priority, Set<Waiting>>(ORDER.map((priority) => [priority, new Set()]))

  constructor(capacity: number) {
    this.#free = capacity
  }

  /** Turns that wait for a slot. */
  get waiting(): number {
    let waiting = 0
    for (const queue of this.#waiting.values()) waiting += queue.size
    return waiting
  }

  /** Takes a slot that is free now. */
  tryAcquire(): ReleaseSlot | undefined {
    if (this.#free === 0) return undefined
    this.#free -= 1
    return this.#releaseOnce()
  }

  /** Waits for a slot. @throws the signal's reason when aborted while waiting. */
  acquire(priority: Priority, signal: AbortSignal): Promise<ReleaseSlot> {
    const free = this.tryAcquire()
    if (free) return Promise.resolve(free)
    return new Promise((grant, refuse) => {
      const waiting = { grant }
      const queue = this.#waiting.get(priority)
      queue?.add(waiting)
      const giveUp = () => {
        if (queue?.delete(waiting)) refuse(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  #releaseOnce(): ReleaseSlot {
    let held = true
    return () => {
      if (!held) return
      held = false
      const next = this.#next()
      if (next) next.grant(this.#releaseOnce())
      else this.#free += 1
    }
  }

  #next(): Waiting | undefined {
    for (const queue of this.#waiting.values()) {
      for (const waiting of queue) {
        queue.delete(waiting)
        return waiting
      }
    }
    return undefined
  }
}
