/**
 * Gathers what is appended close together into one change of the log, within the bounds of a commit.
 */
import { strict as assert } from 'node:assert'
import { type Change, LIMITS, type SmallState } from '../bus/bus.js'
import type { NewEvent } from '../protocol/events.js'
import { formatEventId } from '../protocol/ids.js'
import type { SessionStatus } from '../protocol/session.js'

/** What one step adds to the session. Fields left out change nothing. */
export interface Entry {
  readonly events: readonly NewEvent[]
  /** Status and state after these events. */
  readonly status: SessionStatus
  readonly state: SmallState
  readonly popInbox?: number
  readonly popControl?: number
  /** Ids of commands that end with the last event of this entry. */
  readonly ended?: readonly string[]
  readonly clearPart?: boolean
}

/** Events that are durable, with their JSON and the state after the last of them. */
export interface WrittenEvents {
  /** Epoch of all, and sequence number of the first: the others follow without gaps. */
  readonly epoch: number
  readonly firstSeq: number
  readonly events: readonly NewEvent[]
  readonly bodies: readonly string[]
  readonly state: SmallState
}

/** Where a change belongs in its session's log. */
export interface ChangePlace {
  readonly sessionId: string
  /** Of the commit. */
  readonly id: string
  /** Id of the commit before it. */
  readonly after: string
  readonly epoch: number
  /** Number of the log's last event, under which the change is expected. */
  readonly seq: number
}

export class ChangeBuilder {
  readonly #entries: Entry[] = []
  readonly #events: NewEvent[] = []
  readonly #bodies: string[] = []
  readonly #ended: { commandId: string; eventId: string }[] = []
  #chars = 0

  constructor(private readonly place: ChangePlace) {}

  /** Takes an entry, or leaves it for the next commit when this one is full. The first is always taken. */
  add(entry: Entry): boolean {
    const { epoch, seq } = this.place
    const next = seq + this.#events.length + 1
    const bodies = entry.events.map((event, index) => numberedJson(event, epoch, next + index))
    const chars = bodies.reduce((total, body) => total + body.length, 0)
    if (this.#entries.length > 0 && !this.#fits(bodies.length, chars)) return false
    this.#entries.push(entry)
    this.#events.push(...entry.events)
    this.#bodies.push(...bodies)
    this.#chars += chars
    const eventId = formatEventId(epoch, seq + this.#events.length)
    for (const commandId of entry.ended ?? []) this.#ended.push({ commandId, eventId })
    return true
  }

  build(): { readonly change: Change; readonly written: WrittenEvents } {
    const entries = this.#entries
    const last = entries.at(-1)
    if (!last) throw new Error('a change of nothing')
    const { sessionId, id, after, epoch, seq } = this.place
    const change = {
      sessionId,
      commitId: id,
      after,
      expectedSeq: seq,
      events: this.#bodies,
      status: last.status,
      state: JSON.stringify(last.state),
      popInbox: sum(entries, (it) => it.popInbox),
      popControl: sum(entries, (it) => it.popControl),
      ended: this.#ended,
      clearPart: entries.some((it) => it.clearPart === true),
    }
    const written = { epoch, firstSeq: seq + 1, events: this.#events, bodies: this.#bodies, state: last.state }
    return { change, written }
  }

  #fits(events: number, chars: number): boolean {
    return this.#events.length + events <= LIMITS.eventsPerCommit && this.#chars + chars <= LIMITS.charsPerCommit
  }
}

/** The JSON of an event with its id behind its type: put in as text, because a copy of the object costs more than both. */
function numberedJson(event: NewEvent, epoch: number, seq: number): string {
  const json = JSON.stringify(event)
  const start = `{"type":"${event.type}",`
  assert(json.startsWith(start), 'an event is made with its type first')
  return `${start}"eventId":"${formatEventId(epoch, seq)}",${json.slice(start.length)}`
}

const sum = (entries: readonly Entry[], of: (entry: Entry) => number | undefined): number =>
  entries.reduce((total, entry) => total + (of(entry) ?? 0), 0)
