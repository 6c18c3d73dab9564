/**
 * The log of one session as Redis and Postgres hold it together, and whether they tell one story (G3).
 */
import type { LoggedEventType } from '../../protocol/events.js'
import { type EventId, formatEventId, parseEventId } from '../../protocol/ids.js'
import type { LogLine } from '../journal.js'
import type { CommandRecord } from './command-table.js'
import type { Findings } from './findings.js'

export interface LogEvent {
  readonly epoch: number
  readonly seq: number
  readonly type: LoggedEventType
  readonly hash: number
  readonly command: CommandRecord | undefined
  /** What else is known of it; most events need nothing else. */
  readonly details: LogLine | undefined
  inRedis: boolean
  inPostgres: boolean
  /** When some client first saw it; NaN when nobody did. */
  seenAt: number
}

type Store = LogLine['store']

/** Lines of the log on both sides of a violation. */
const EXCERPT_RADIUS = 2

export class SessionLog {
  /** The event with sequence number n stands at n - 1; holes are undefined. */
  readonly events: (LogEvent | undefined)[] = []
  readonly #last: Record<Store, EventId | undefined> = { redis: undefined, postgres: undefined }

  constructor(readonly id: string) {}

  get head(): number {
    return this.events.length
  }

  event(seq: number): LogEvent | undefined {
    return this.events[seq - 1]
  }

  /** Takes the next event of a store. */
  take(line: LogLine, command: CommandRecord | undefined, findings: Findings): void {
    const id = parseEventId(line.event)
    findings.checked('G3')
    if (!id || id.seq === 0) {
      this.#broken(findings, `an event is stored as ${line.event}`, 0)
      return
    }
    if (line.named !== undefined) {
      this.#broken(findings, `the event stored as ${line.event} calls itself ${line.named}`, id.seq)
    }
    this.#checkOrder(line, id, findings)
    const known = this.event(id.seq)
    if (known) this.#compare(known, id, line, findings)
    else this.#put(logEvent(line, id, command))
  }

  /** Looks for holes, after the last line. */
  finish(findings: Findings): void {
    const lastInPostgres = this.#last.postgres?.seq ?? 0
    const firstInRedis = this.events.find((event) => event?.inRedis)?.seq ?? this.head + 1
    this.#report(findings, 'is in no store', (seq) => this.event(seq) === undefined)
    // What Postgres has passed over, Redis will drop.
    this.#report(
      findings,
      'was passed over by Postgres',
      (seq) => seq < lastInPostgres && this.event(seq)?.inPostgres === false,
    )
    this.#report(findings, 'is not in Redis', (seq) => seq > firstInRedis && this.event(seq)?.inRedis === false)
    this.#report(
      findings,
      'has an older epoch',
      (seq) => (this.event(seq)?.epoch ?? Infinity) < (this.event(seq - 1)?.epoch ?? 0),
    )
  }

  /** The log around an event, in words. */
  around(seq: number): string[] {
    const from = Math.max(1, seq - EXCERPT_RADIUS)
    const numbers = Array.from({ length: 2 * EXCERPT_RADIUS + 1 }, (_, index) => from + index)
    return numbers.filter((each) => each <= this.head).map((each) => this.describe(each))
  }

  describe(seq: number): string {
    const event = this.event(seq)
    if (!event) return `log ${this.id}  …-${seq} is missing`
    const { epoch, type, command, inRedis, inPostgres } = event
    const stores = [inRedis && 'Redis', inPostgres && 'Postgres'].filter(Boolean).join(' and ')
    return `log ${this.id}  ${formatEventId(epoch, seq)} ${type}${command ? ` of ${command.id}` : ''} (${stores})`
  }

  #checkOrder({ store, event }: LogLine, id: EventId, findings: Findings): void {
    const last = this.#last[store]
    this.#last[store] = id
    if (!last || (id.seq > last.seq && id.epoch >= last.epoch)) return
    this.#broken(findings, `${nameOf(store)} holds ${event} behind ${formatEventId(last.epoch, last.seq)}`, id.seq)
  }

  #compare(known: LogEvent, { epoch, seq }: EventId, line: LogLine, findings: Findings): void {
    if (known.epoch !== epoch) {
      this.#broken(findings, `${formatEventId(known.epoch, seq)} and ${line.event} have one number`, seq)
      return
    }
    if (known.hash !== line.hash)
      this.#broken(findings, `Redis and Postgres hold different bytes of ${line.event}`, seq)
    if (line.store === 'redis') known.inRedis = true
    else known.inPostgres = true
  }

  #put(event: LogEvent): void {
    while (this.events.length < event.seq) this.events.push(undefined)
    this.events[event.seq - 1] = event
  }

  /** Reports the beginning of each run of numbers to which it applies. */
  #report(findings: Findings, what: string, applies: (seq: number) => boolean): void {
    let before = false
    for (let seq = 1; seq <= this.head; seq++) {
      const now = applies(seq)
      if (now && !before) this.#broken(findings, `number ${seq} ${what}`, seq)
      before = now
    }
  }

  #broken(findings: Findings, what: string, seq: number): void {
    findings.violated('G3', `session ${this.id}: ${what}`, () => this.around(seq))
  }
}

const nameOf = (store: Store): string => (store === 'redis' ? 'Redis' : 'Postgres')

function logEvent(line: LogLine, { epoch, seq }: EventId, command: CommandRecord | undefined): LogEvent {
  return {
    epoch,
    seq,
    type: line.type,
    hash: line.hash,
    command,
    details: hasDetails(line) ? line : undefined,
    inRedis: line.store === 'redis',
    inPostgres: line.store === 'postgres',
    seenAt: Number.NaN,
  }
}

/** The events of a short command have none, and are most of a long run. */
function hasDetails({ message, call, code, status, from }: LogLine): boolean {
  return (message ?? call ?? code ?? status ?? from) !== undefined
}
