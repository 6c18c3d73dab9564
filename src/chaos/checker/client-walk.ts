/**
 * What one client got of each session it watched, line by line against the log: a contiguous run, each event as the log
 * holds it, each message whole (G4); nothing that a failover lost stands unexplained (G5); text is not taken back (G7).
 */
import { type EventId, formatEventId, parseEventId } from '../../protocol/ids.js'
import type { ClientLine, Seen, Subscription, TextSeen } from '../journal.js'
import { earliest } from './command-table.js'
import { type Findings, type Guarantee, timeText } from './findings.js'
import type { SessionLog } from './session-log.js'
import type { SessionLogs } from './session-logs.js'
import { isEnd } from './turn-rules.js'

/** A client's place in one session. */
interface Place {
  readonly session: string
  readonly log: SessionLog | undefined
  epoch: number
  seq: number
  message: string | undefined
  bytes: number
  hash: number
  /** Events that it saw and that no log holds, by sequence number: a reset must follow. */
  readonly lost: Map<number, Seen>
}

export interface ClientWalkOptions {
  readonly logs: SessionLogs
  readonly findings: Findings
  /** Whether a fault of this run may have made Redis lose what it had acknowledged. */
  readonly losesWrites: boolean
  /** Beginning of the run, for the times in excerpts. */
  readonly began: number
}

export class ClientWalk {
  readonly #places = new Map<string, Place>()
  /** Its last line, when it had reason to have everything. */
  #complete: ClientLine | undefined

  constructor(
    private readonly client: string,
    private readonly options: ClientWalkOptions,
  ) {}

  take(line: ClientLine): void {
    if (line.kind === 'event') this.#event(line)
    else if (line.kind === 'text') this.#text(line)
    else if (line.kind === 'subscribed') this.#subscribed(line)
    else if (line.kind === 'left') this.#leave(line.session)
    else if (line.kind === 'closed' && line.complete) this.#complete = line
  }

  /** The client's own spawn was accepted: its story begins with the session. */
  spawned(session: string): void {
    this.#place(session)
  }

  /** After the last line. */
  finish(): void {
    for (const place of this.#places.values()) {
      this.#settle(place)
      if (this.#complete) this.#checkEnd(place, this.#complete)
    }
  }

  #place(session: string): Place {
    const known = this.#places.get(session)
    if (known) return known
    const log = this.options.logs.find(session)
    const place: Place = { session, log, epoch: 0, seq: 0, message: undefined, bytes: 0, hash: 0, lost: new Map() }
    this.#places.set(session, place)
    return place
  }

  #event(line: Seen): void {
    const place = this.#place(line.session)
    const id = parseEventId(line.event) ?? { epoch: 0, seq: 0 }
    this.options.findings.checked('G4')
    const replaced = place.lost.get(id.seq)
    if (replaced && id.seq <= place.seq) this.#replaced(place, id, line, replaced)
    else this.#next(place, id, line)
  }

  #next(place: Place, id: EventId, line: Seen): void {
    this.#checkNext(place, id, line)
    const isInLog = this.#confirm(place, id, line)
    place.epoch = id.epoch
    place.seq = id.seq
    if (isInLog && line.type === 'stream_end') this.#endMessage(place, id.seq, line)
  }

  #checkNext(place: Place, id: EventId, line: Seen): void {
    const had = formatEventId(place.epoch, place.seq)
    if (id.seq <= place.seq) this.#broken('G4', place, line, `got ${line.event} once more, or too late: it had ${had}`)
    else if (id.seq > place.seq + 1) this.#broken('G4', place, line, `got ${line.event} behind ${had}: a hole`)
    else if (id.epoch < place.epoch)
      this.#broken('G4', place, line, `got ${line.event} of an older owner behind ${had}`)
  }

  /** Whether the log holds what the client saw. */
  #confirm(place: Place, id: EventId, line: Seen): boolean {
    const event = place.log?.event(id.seq)
    if (this.options.losesWrites) this.options.findings.checked('G5')
    if (event?.epoch !== id.epoch || event.hash !== line.hash) {
      place.lost.set(id.seq, line)
      return false
    }
    event.seenAt = earliest(event.seenAt, line.at)
    if (event.command && (isEnd(event) || event.type === 'session_status_update')) {
      event.command.endedAt = earliest(event.command.endedAt, line.at)
    }
    return true
  }

  #replaced(place: Place, id: EventId, line: Seen, lost: Seen): void {
    place.lost.delete(id.seq)
    place.epoch = id.epoch
    this.#broken(this.#lossRule, place, line, `got ${line.event} in place of ${lost.event}, without a reset`)
    this.#confirm(place, id, line)
  }

  #text(line: TextSeen): void {
    const place = this.#place(line.session)
    this.options.findings.checked('G4')
    const have = place.message === line.message ? place.bytes : 0
    if (line.offset < have)
      this.#broken('G4', place, line, `got text at ${line.offset} of ${line.message}, it had ${have} bytes`)
    if (line.offset > have) this.#broken('G4', place, line, `got text at ${line.offset} behind ${have} bytes: a hole`)
    place.message = line.message
    place.bytes = line.offset + line.bytes
    place.hash = line.hash
  }

  /** All text of a message comes before its end. */
  #endMessage(place: Place, seq: number, line: Seen): void {
    const details = place.log?.event(seq)?.details
    const { message = '', bytes = 0, text = 0 } = details ?? {}
    const have = place.message === message ? place.bytes : 0
    if (have > 0) this.options.findings.checked('G7')
    if (have < bytes) this.#broken('G4', place, line, `got ${have} of the ${bytes} bytes of ${message} before its end`)
    else if (have > bytes || (have > 0 && place.hash !== text)) {
      this.#broken('G7', place, line, `${message} ended with other text than the ${have} bytes it had seen`)
    }
  }

  #subscribed(line: Subscription): void {
    const known = this.#places.has(line.session)
    const place = this.#place(line.session)
    const id = parseEventId(line.event) ?? { epoch: 0, seq: 0 }
    if (known && !line.reset) {
      if (id.seq !== place.seq)
        this.#broken('G4', place, line, `asked to go on behind number ${place.seq}, got ${line.event}`)
      return
    }
    place.epoch = id.epoch
    place.seq = id.seq
    place.message = undefined
    place.bytes = 0
    place.lost.clear()
  }

  #leave(session: string): void {
    const place = this.#places.get(session)
    if (place) this.#settle(place)
    this.#places.delete(session)
  }

  /** Nothing more comes: what was seen and is in no log was taken back in silence. */
  #settle(place: Place): void {
    for (const line of place.lost.values()) {
      this.#broken(
        this.#lossRule,
        place,
        line,
        `saw ${line.event} ${line.type}, which is not in the log, and was not reset`,
      )
    }
  }

  #checkEnd(place: Place, line: ClientLine): void {
    const head = place.log?.head ?? 0
    if (place.seq >= head) return
    this.#broken('G4', place, line, `stayed until the end and has number ${place.seq} of ${head}`)
  }

  get #lossRule(): Guarantee {
    return this.options.losesWrites ? 'G5' : 'G4'
  }

  #broken(guarantee: Guarantee, place: Place, line: ClientLine, what: string): void {
    const { findings, began } = this.options
    findings.violated(guarantee, `client ${this.client}, session ${place.session}: it ${what}`, () => [
      `client ${this.client}  at ${timeText(line.at, began)} ${JSON.stringify(line)}`,
      ...(place.log?.around(numberOf(line) ?? place.seq) ?? ['no log holds this session']),
    ])
  }
}

/** The number of the event that a line tells of. */
const numberOf = (line: ClientLine): number | undefined =>
  line.kind === 'event' ? parseEventId(line.event)?.seq : undefined
