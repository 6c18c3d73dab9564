/**
 * Entries that arrive for a subscription while it reads the log. Bounded: when it overflows the entries are dropped and
 * the log is read once more, because it holds them too.
 */
import type { NumberedEvent, TextEntry } from './subscription.js'

/** What one entry of the outbox holds: events of one commit, or one piece of text. */
export type LiveEntry = readonly (NumberedEvent | TextEntry)[]

/** A resume takes milliseconds; more than this much meanwhile is cheaper to read again. */
const MAX_ENTRIES = 1_024
const MAX_CHARS = 1024 * 1024

export class LiveBuffer {
  entries: LiveEntry[] = []
  overflowed = false
  #chars = 0

  add(entry: LiveEntry): void {
    if (this.overflowed) return
    for (const piece of entry) this.#chars += 'body' in piece ? piece.body.length : piece.json.length
    this.entries.push(entry)
    if (this.entries.length <= MAX_ENTRIES && this.#chars <= MAX_CHARS) return
    this.overflowed = true
    this.entries = []
  }
}
