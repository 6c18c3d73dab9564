/**
 * Events that a client has not said it has: kept for a while, and told again.
 */

/** Of one connection; beyond it the oldest are not told again. */
const MAX_KEPT = 1_000
/** The same in characters, for long messages. */
const MAX_CHARS = 1024 * 1024
const AGAIN_AFTER_MS = 30_000
/** A client that never acknowledges is not told for ever. */
const MAX_TELLINGS = 3

interface Kept {
  readonly frame: string
  toldAt: number
  tellings: number
}

export class Unacknowledged {
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>()
  #chars = 0

  add(eventId: string, frame: string, now: number): void {
    this.#drop(eventId)
    this.#kept.set(eventId, { frame, toldAt: now, tellings: 1 })
    this.#chars += frame.length
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT && this.#chars <= MAX_CHARS) break
      this.#drop(oldest)
    }
  }

  acknowledge(eventIds: readonly string[]): void {
    for (const eventId of eventIds) this.#drop(eventId)
  }

  /** Frames whose time has come. */
  due(now: number): readonly string[] {
    const late = [...this.#kept].filter(([, { toldAt }]) => now - toldAt >= AGAIN_AFTER_MS)
    return late.map(([eventId, kept]) => {
      kept.toldAt = now
      kept.tellings += 1
      if (kept.tellings >= MAX_TELLINGS) this.#drop(eventId)
      return kept.frame
    })
  }

  #drop(eventId: string): void {
    this.#chars -= this.#kept.get(eventId)?.frame.length ?? 0
    this.#kept.delete(eventId)
  }
}
