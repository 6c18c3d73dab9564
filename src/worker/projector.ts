/**
 * Write-behind: copies the logs of owned shards into Postgres in batches, and tells the bus what may be trimmed. The
 * log stays the truth until then: what is not projected is found again by the next owner (claim's `unprojected`).
 */
import type { Claim, SessionLog, SmallState } from '../bus/bus.js'
import type { LoggedEvent } from '../protocol/events.js'
import { formatEventId, LOG_START, parseEventId } from '../protocol/ids.js'
import type { Session } from '../protocol/session.js'
import type { WrittenEvents } from './change-builder.js'
import { batchesOf, type Project, type ProjectedRow, projectedRow } from './projection-batch.js'
import type { Logger } from './session-services.js'
import { Watermarks } from './watermarks.js'

/** How soon Postgres has what happens on an idle worker. */
const INTERVAL_MS = 50
/** A busy one gathers for a multiple of the time that its last projection took: fewer, larger ones cost half. */
const REST_FACTOR = 2
const MAX_INTERVAL_MS = 400
/** One transaction. A larger one costs less for each row, and holds up everything else in this process while it is made. */
const MAX_ROWS = 1_500
/**
 * Logs that are read at once: one after the other, each would take a turn of a busy event loop, and a worker that fell
 * behind would never catch up under load. They share what one transaction takes.
 */
const READS_AT_ONCE = 16
/**
 * What the log may hold beyond Postgres, for each worker: minutes of an outage at full load, hours of a quiet one. Above
 * either, no more work is taken on; what was taken on goes on.
 */
const MAX_UNPROJECTED = { events: 500_000, chars: 256 * 1024 * 1024 } as const
/** Rows held in memory while Postgres is slow or away; beyond it they are read again from the log. */
const MAX_BUFFERED_ROWS = 50_000
const RETRY_MS = 500

interface SessionBacklog {
  readonly claim: Claim
  /** Rows in order; empty while `fromLog` is set. */
  rows: ProjectedRow[]
  snapshot: Session | undefined
  /** Set when rows must be read from the log behind this event id. */
  fromLog: string | undefined
  /** Events written here that are not projected, and their JSON. */
  events: number
  chars: number
}

export interface ProjectorOptions {
  readonly log: SessionLog
  readonly project: Project
  readonly logger: Logger
  /** Told when too much waits for Postgres, and when it does no more. */
  readonly onFull: (full: boolean) => void
  /** `MAX_UNPROJECTED` when left out. */
  readonly most?: { readonly events: number; readonly chars: number }
}

export class Projector {
  readonly #backlog = new Map<string, SessionBacklog>()
  readonly #watermarks: Watermarks
  #buffered = 0
  #events = 0
  #chars = 0
  #full = false
  #intervalMs = INTERVAL_MS
  #failed = false
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #stopped = false

  constructor(private readonly options: ProjectorOptions) {
    this.#watermarks = new Watermarks(options.log)
  }

  /** Events written here that Postgres does not have yet. */
  get waiting(): number {
    return this.#events
  }

  start(): void {
    this.#watermarks.start()
  }

  /** Projects what is left, as far as Postgres answers. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.settle()
    await this.#watermarks.stop()
  }

  /** Takes events that are durable in the log. */
  add(claim: Claim, sessionId: string, written: WrittenEvents): void {
    const backlog = this.#backlogOf(claim, sessionId)
    backlog.snapshot = written.state.session
    if (backlog.fromLog === undefined) {
      const { epoch, firstSeq, bodies } = written
      written.events.forEach((event, index) => {
        backlog.rows.push(projectedRow({ epoch, seq: firstSeq + index }, event, bodies[index] ?? ''))
      })
      this.#buffered += written.events.length
    }
    if (this.#buffered > MAX_BUFFERED_ROWS) this.#spill()
    this.#owe(backlog, written.events.length, charsOf(written.bodies))
    this.#schedule()
  }

  /** Takes over sessions whose events a former owner may not have projected. */
  adopt(claim: Claim, sessionIds: readonly string[]): void {
    for (const id of sessionIds) {
      // A read of the log that is under way began too early, and must not count as its end.
      this.#drop(id)
      this.#backlogOf(claim, id).fromLog = LOG_START
    }
    if (sessionIds.length > 0) this.#schedule()
  }

  /** An idle session: its log may go, once it is projected. */
  forget(claim: Claim, sessionId: string): void {
    this.#watermarks.rest(claim, sessionId)
  }

  /** Lets go of claims, after one more projection; what Postgres does not take now the next owner finds in the log. */
  async release(claims: readonly Claim[]): Promise<void> {
    await this.settle()
    this.leave(claims)
  }

  /**
   * Lets go of claims at once: the next owner projects what is left. What pinned sessions still write is projected too, as
   * long as the next owner does not, but it follows on a hole, and so the bus is not told of it.
   */
  leave(claims: readonly Claim[]): void {
    // Each claim for itself: meanwhile the shard may have been granted again, under another.
    const left = new Set(claims)
    for (const [id, { claim }] of this.#backlog) if (left.has(claim)) this.#drop(id)
    for (const claim of claims) this.#watermarks.leave(claim)
  }

  #backlogOf(claim: Claim, sessionId: string): SessionBacklog {
    const present = this.#backlog.get(sessionId)
    if (present && present.claim.epoch === claim.epoch) return present
    if (present) this.#drop(sessionId)
    const backlog = { claim, rows: [], snapshot: undefined, fromLog: undefined, events: 0, chars: 0 }
    this.#backlog.set(sessionId, backlog)
    return backlog
  }

  /** The first rows of an interval set its end. A full transaction does not wait for it, except after a failure. */
  #schedule(): void {
    if (this.#stopped || this.#running) return
    if (this.#events >= MAX_ROWS && !this.#failed) this.#run()
    else this.#timer ??= setTimeout(() => this.#run(), this.#failed ? RETRY_MS : this.#intervalMs)
  }

  #run(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const startedAt = performance.now()
    this.#running ??= this.#projectOnce()
      .then(
        () => {
          this.#failed = false
          const rest = REST_FACTOR * (performance.now() - startedAt)
          this.#intervalMs = Math.min(Math.max(rest, INTERVAL_MS), MAX_INTERVAL_MS)
        },
        (error: unknown) => {
          this.#failed = true
          this.#complain(error)
        },
      )
      .then(() => {
        this.#running = undefined
        if (this.#backlog.size > 0) this.#schedule()
      })
  }

  /** One projection after the one that runs: two at once would take the same rows. Never rejects. */
  async settle(): Promise<void> {
    await this.#running
    this.#run()
    await this.#running
  }

  #complain(error: unknown): void {
    this.options.logger.warn(
      { err: error, rows: this.#buffered },
      'Postgres did not take a projection; it is tried again',
    )
  }

  /** Memory is full: rows are dropped here and read from the log when Postgres takes them. */
  #spill(): void {
    for (const backlog of this.#backlog.values()) {
      // From the start of what the log still holds: Postgres ignores what it has.
      backlog.fromLog = LOG_START
      backlog.rows = []
    }
    this.#buffered = 0
  }

  async #projectOnce(): Promise<void> {
    const taken = await this.#take()
    if (taken.length === 0) return
    const { fenced } = await this.options.project(batchesOf(taken))
    for (const { id, backlog, rows } of taken) {
      // Dropped or replaced while Postgres was busy: the new entry starts over.
      if (this.#backlog.get(id) !== backlog) continue
      if (fenced.includes(backlog.claim.shard)) this.#drop(id)
      else this.#advance(id, backlog, rows)
    }
  }

  async #take(): Promise<Taken[]> {
    const taken: Taken[] = []
    const waiting = [...this.#backlog]
    for (let at = 0, count = 0; at < waiting.length && count < MAX_ROWS; at += READS_AT_ONCE) {
      const group = waiting.slice(at, at + READS_AT_ONCE)
      const share = Math.ceil((MAX_ROWS - count) / group.length)
      const parts = await Promise.all(group.map(([id, backlog]) => this.#rowsOf(id, backlog, share)))
      for (const { id, backlog, rows, owed } of parts) {
        if (count >= MAX_ROWS) break
        // Dropped or replaced while it was read.
        if (this.#backlog.get(id) !== backlog) continue
        if (rows.length === 0) this.#forgetRead(id, backlog, owed)
        else taken.push({ id, backlog, rows })
        count += rows.length
      }
    }
    return taken
  }

  async #rowsOf(id: string, backlog: SessionBacklog, most: number): Promise<Taken & { readonly owed: number }> {
    const owed = backlog.events
    const rows = backlog.fromLog === undefined ? [...backlog.rows] : await this.#read(id, backlog.fromLog, most)
    return { id, backlog, rows, owed }
  }

  /** The log was read to its end. What was written while its answer was on the way is only there: it is read again. */
  #forgetRead(id: string, backlog: SessionBacklog, owedBefore: number): void {
    if (this.#backlog.get(id) === backlog && backlog.events === owedBefore) this.#drop(id)
  }

  async #read(id: string, after: string, most: number): Promise<ProjectedRow[]> {
    const events = await this.options.log.events(id, after, most)
    const backlog = this.#backlog.get(id)
    if (backlog && events.length > 0) backlog.snapshot ??= await this.#snapshot(id)
    return events.map(({ eventId, body }) => projectedRow(parseEventId(eventId), JSON.parse(body) as LoggedEvent, body))
  }

  async #snapshot(id: string): Promise<Session | undefined> {
    const head = await this.options.log.peek(id)
    return head === undefined || head.state === '' ? undefined : (JSON.parse(head.state) as SmallState).session
  }

  #advance(id: string, backlog: SessionBacklog, rows: readonly ProjectedRow[]): void {
    const last = rows.at(-1)
    if (!last) return
    this.#watermarks.raise(backlog.claim, id, last.seq)
    this.#paid(backlog, rows.length, charsOf(rows.map(({ body }) => body)))
    if (backlog.fromLog !== undefined) {
      backlog.fromLog = formatEventId(last.epoch, last.seq)
      // Behind the others: while it works there is always more of it.
      this.#backlog.delete(id)
      this.#backlog.set(id, backlog)
      return
    }
    backlog.rows = backlog.rows.slice(rows.length)
    this.#buffered -= rows.length
    if (backlog.rows.length === 0) this.#backlog.delete(id)
  }

  #owe(backlog: SessionBacklog, events: number, chars: number): void {
    backlog.events += events
    backlog.chars += chars
    this.#events += events
    this.#chars += chars
    this.#noteFull()
  }

  /** Rows of a former owner, read from the log, were never counted. */
  #paid(backlog: SessionBacklog, events: number, chars: number): void {
    this.#owe(backlog, -Math.min(events, backlog.events), -Math.min(chars, backlog.chars))
  }

  #noteFull(): void {
    const most = this.options.most ?? MAX_UNPROJECTED
    const full = this.#events >= most.events || this.#chars >= most.chars
    if (full === this.#full) return
    this.#full = full
    const waiting = { events: this.#events, chars: this.#chars }
    if (full) this.options.logger.warn(waiting, 'too much waits for Postgres; no more work is taken on')
    else this.options.logger.info(waiting, 'Postgres has caught up; work is taken on again')
    this.options.onFull(full)
  }

  #drop(id: string): void {
    const backlog = this.#backlog.get(id)
    if (!backlog) return
    this.#buffered -= backlog.rows.length
    this.#paid(backlog, backlog.events, backlog.chars)
    this.#backlog.delete(id)
  }
}

interface Taken {
  readonly id: string
  readonly backlog: SessionBacklog
  readonly rows: readonly ProjectedRow[]
}

const charsOf = (bodies: readonly string[]): number => bodies.reduce((chars, body) => chars + body.length, 0)
