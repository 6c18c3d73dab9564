/**
 * Gathers what is appended close together into one change of the log, within the bounds of a commit.
 */
import { type Change, LIMITS, type SmallState } from '../bus/bus.js'
import type { LoggedEvent, NewEvent } from '../protocol/events.js'
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
  readonly events: readonly LoggedEvent[]
  readonly bodies: readonly string[]
  readonly state: SmallState
}

export class ChangeBuilder {
  readonly #entries: Entry[] = []
  readonly #events: LoggedEvent[] = []
  readonly #bodies: string[] = []
  readonly #ended: { commandId: string; eventId: string }[] = []
  #chars = 0

  /** `seq` is the number of the log's last event, under which the change is expected. */
  constructor(
    private readonly sessionId: string,
    private readonly commitId: string,
    private readonly epoch: number,
    private readonly seq: number,
  ) {}

  /** Takes an entry, or leaves it for the next commit when this one is full. The first is always taken. */
  add(entry: Entry): boolean {
    const next = this.seq + this.#events.length + 1
    const events = entry.events.map((event, index) => numbered(event, this.epoch, next + index))
    const bodies = events.map((event) => JSON.stringify(event))
    const chars = bodies.reduce((total, body) => total + body.length, 0)
    if (this.#entries.length > 0 && !this.#fits(events.length, chars)) return false
    this.#entries.push(entry)
    this.#events.push(...events)
    this.#bodies.push(...bodies)
    this.#chars += chars
    const eventId = formatEventId(this.epoch, this.seq + this.#events.length)
    for (const commandId of entry.ended ?? []) this.#ended.push({ commandId, eventId })
    return true
  }

  build(): { readonly change: Change; readonly written: WrittenEvents } {
    const entries = this.#entries
    const last = entries.at(-1)
    if (!last) throw new Error('a change of nothing')
    const change = {
      sessionId: this.sessionId,
      commitId: this.commitId,
      expectedSeq: this.seq,
      events: this.#bodies,
      status: last.status,
      state: JSON.stringify(last.state),
      popInbox: sum(entries, (it) => it.popInbox),
      popControl: sum(entries, (it) => it.popControl),
      ended: this.#ended,
      clearPart: entries.some((it) => it.clearPart === true),
    }
    return { change, written: { events: this.#events, bodies: this.#bodies, state: last.state } }
  }

  #fits(events: number, chars: number): boolean {
    return this.#events.length + events <= LIMITS.eventsPerCommit && this.#chars + chars <= LIMITS.charsPerCommit
  }
}

/** The fields that clients look at first come first; `eventId` names the place in the log. */
function numbered(event: NewEvent, epoch: number, seq: number): LoggedEvent {
  const { type, ...rest } = event
  return { type, eventId: formatEventId(epoch, seq), ...rest } as LoggedEvent
}

const sum = (entries: readonly Entry[], of: (entry: Entry) => number | undefined): number =>
  entries.reduce((total, entry) => total + (of(entry) ?? 0), 0)
