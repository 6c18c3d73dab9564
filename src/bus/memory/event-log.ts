/**
 * The events of one session that are still in memory: those behind the floor, without gaps in their numbers.
 */
import { type EventId, formatEventId, LOG_START, parseEventId } from '../../protocol/ids.js'
import type { StoredEvent } from '../bus.js'

interface Entry {
  readonly epoch: number
  readonly seq: number
  readonly body: string
}

export class EventLog {
  #entries: Entry[] = []
  #floor: string

  constructor(floor = LOG_START) {
    this.#floor = floor
  }

  /** Id of the last event that is not here any more. */
  get floor(): string {
    return this.#floor
  }

  get length(): number {
    return this.#entries.length
  }

  append(epoch: number, seq: number, body: string): void {
    this.#entries.push({ epoch, seq, body })
  }

  /** Whether exactly this event is here. */
  has(id: string): boolean {
    const position = parseEventId(id)
    if (!position) return false
    const entry = this.#entries[this.#firstBehind(position) - 1]
    return entry !== undefined && entry.epoch === position.epoch && entry.seq === position.seq
  }

  /** At most `limit` events behind a position, which need not be in the log. */
  after(id: string, limit: number): StoredEvent[] {
    const first = this.#firstBehind(parseEventId(id) ?? { epoch: 0, seq: 0 })
    return this.#entries
      .slice(first, first + limit)
      .map((it) => ({ eventId: formatEventId(it.epoch, it.seq), body: it.body }))
  }

  /** Drops the oldest `count` events and moves the floor to the last of them. */
  drop(count: number): void {
    const last = this.#entries.splice(0, count).at(-1)
    if (last) this.#floor = formatEventId(last.epoch, last.seq)
  }

  /** Index of the first entry behind a position. Ids rise in both numbers, so their order is that of the entries. */
  #firstBehind(position: EventId): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      const entry = this.#entries[middle]
      if (entry && isBehind(entry, position)) high = middle
      else low = middle + 1
    }
    return low
  }
}

const isBehind = (entry: EventId, position: EventId): boolean =>
  entry.epoch > position.epoch || (entry.epoch === position.epoch && entry.seq > position.seq)
