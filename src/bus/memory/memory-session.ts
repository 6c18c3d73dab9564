/**
 * One session of the in-process bus: its inbox, log, part and subscribers, and the rules by which each step changes them.
 * The owner's epoch has been checked before; whatever changes is put into the write group as rows.
 */
import { formatEventId, LOG_START, parseEventId, type SessionId } from '../../protocol/ids.js'
import { isTerminal, type SessionStatus } from '../../protocol/session.js'
import type { BusSessionRow } from '../../storage/standalone-bus.js'
import {
  type Acceptance,
  type Change,
  type Flushed,
  LIMITS,
  type Part,
  type Projected,
  type Rest,
  type Resumed,
  type SessionHead,
  type SessionRecord,
  type StoredEvent,
  type TextFlush,
} from '../bus.js'
import { isControl, type Outbox, type Submission } from '../command.js'
import type { DormantSession } from '../dormant.js'
import { CommandQueue } from './command-queue.js'
import { EventLog } from './event-log.js'
import { SeenCommands } from './seen-commands.js'
import type { WriteGroup } from './write-group.js'

type Decision = Pick<Acceptance, 'status' | 'detail'>

interface StreamedPart {
  readonly messageId: string
  text: string
  bytes: number
}

export class MemorySession {
  readonly subscribers = new Set<Outbox>()
  readonly #log: EventLog
  readonly #inbox: CommandQueue
  readonly #control: CommandQueue
  readonly #seen: SeenCommands
  #waitingBytes = 0
  #part: StreamedPart | undefined

  /** The row is this object's own state: what is in it is what a restart finds. */
  constructor(private readonly row: BusSessionRow) {
    this.#log = new EventLog(row.floor)
    this.#inbox = new CommandQueue(row.inbox_first)
    this.#control = new CommandQueue(row.control_first)
    this.#seen = new SeenCommands(row.generation)
    if (row.part_message !== null) this.#part = { messageId: row.part_message, text: '', bytes: 0 }
  }

  get id(): SessionId {
    return this.row.session_id
  }

  get seq(): number {
    return this.row.seq
  }

  get head(): string {
    return formatEventId(this.row.epoch, this.row.seq)
  }

  get hasWork(): boolean {
    return this.#inbox.length + this.#control.length > 0
  }

  get isProjected(): boolean {
    return this.row.seq <= this.row.projected
  }

  /** Takes a command into its list, unless its id is known, the session has ended or too much waits. */
  accept(submission: Submission, group: WriteGroup, admitsWork: boolean): Decision {
    const { commandId, type, body } = submission
    const result = this.#seen.result(commandId)
    if (result !== undefined || type === 'spawn') return { status: 'dup', detail: result ?? '' }
    const status = this.row.status as SessionStatus
    if (isTerminal(status)) return { status: 'final', detail: status }
    const control = isControl(type)
    const list = control ? this.#control : this.#inbox
    if (!control && !admitsWork) return { status: 'busy', detail: '' }
    const bytes = this.#waitingBytes + Buffer.byteLength(body)
    if (list.length >= LIMITS.inboxCommands || bytes > LIMITS.inboxBytes) return { status: 'busy', detail: '' }
    this.#take(submission, group)
    return { status: 'new', detail: '' }
  }

  /** Takes the command that creates this session, and subscribes the edge that sent it. */
  begin(spawn: Submission, group: WriteGroup): void {
    this.subscribers.add(spawn.outbox)
    this.#take(spawn, group)
  }

  /** Puts this session, made of a dormant one, on disk with what it remembers. */
  wake({ seen, seenBefore }: DormantSession, group: WriteGroup): void {
    this.#seen.wake(seen, seenBefore)
    for (const it of this.#seen.all()) group.seen({ session_id: this.id, ...it })
    this.#save(group)
  }

  dropGone(isOpen: (outbox: Outbox) => boolean): void {
    for (const outbox of this.subscribers) if (!isOpen(outbox)) this.subscribers.delete(outbox)
  }

  /** What must be kept of this session if it is at rest; see SessionLog.rest. Outboxes that are not open are dropped. */
  rest(isOpen: (outbox: Outbox) => boolean): Rest {
    this.dropGone(isOpen)
    const status = this.row.status as SessionStatus
    // What came in while the session ended waits for nobody any more.
    if ((this.hasWork || this.#part) && !isTerminal(status)) return { status: 'busy' }
    if (!this.isProjected) return { status: 'unprojected' }
    if (this.subscribers.size > 0) return { status: 'watched' }
    const { tenant, state, last_commit: commit } = this.row
    const about = { sessionId: this.id, tenant, status, head: this.head, commit, state }
    return { status: 'idle', session: { ...about, ...this.#seen.remembered() } }
  }

  #take({ commandId, type, body }: Submission, group: WriteGroup): void {
    const control = isControl(type)
    const position = (control ? this.#control : this.#inbox).push(body)
    this.#waitingBytes += Buffer.byteLength(body)
    group.commands.push({ session_id: this.id, control, position, body })
    const generation = this.#seen.add(commandId)
    group.seen({ session_id: this.id, command_id: commandId, generation, result: '' })
    this.#save(group)
  }

  isLastCommit(commitId: string): boolean {
    return commitId === this.row.last_commit
  }

  /** Whether the change, with events of `epoch`, follows what is here. */
  isAt({ expectedSeq, after }: Change, epoch: number): boolean {
    if (after !== undefined && after !== this.row.last_commit) return false
    return this.row.seq === expectedSeq && this.row.epoch <= epoch
  }

  /** Whether the lists hold the commands that the change ends. */
  holds({ popInbox, popControl }: Change): boolean {
    return this.#inbox.length >= popInbox && this.#control.length >= popControl
  }

  /** Appends the events and does all else that the change says. Returns the events with their ids. */
  commit(epoch: number, change: Change, group: WriteGroup): readonly StoredEvent[] {
    this.#waitingBytes -= this.#inbox.pop(change.popInbox) + this.#control.pop(change.popControl)
    for (const it of change.ended) {
      const generation = this.#seen.end(it.commandId, it.eventId)
      group.seen({ session_id: this.id, command_id: it.commandId, generation, result: it.eventId })
    }
    const events = change.events.map((body) => this.#append(epoch, body, group))
    this.row.last_commit = change.commitId
    this.row.status = change.status
    if (change.state !== undefined) this.row.state = change.state
    const clears = change.clearPart && this.#part !== undefined
    if (clears) this.#startPart(undefined)
    if (clears || change.popInbox + change.popControl > 0) group.outdate(this.id)
    this.#save(group)
    return events
  }

  #append(epoch: number, body: string, group: WriteGroup): StoredEvent {
    const seq = this.row.seq + 1
    this.row.seq = seq
    this.row.epoch = epoch
    this.#log.append(epoch, seq, body)
    group.events.push({ session_id: this.id, epoch, seq, body })
    return { eventId: formatEventId(epoch, seq), body }
  }

  /** Appends to the part. `isNew` is false when the text was there already. */
  flush(flush: TextFlush, group: WriteGroup): { readonly outcome: Flushed; readonly isNew: boolean } {
    const bytes = this.#part?.messageId === flush.messageId ? this.#part.bytes : 0
    const added = Buffer.byteLength(flush.text)
    if (bytes > 0 && bytes >= flush.offset + added) return { outcome: { status: 'ok' }, isNew: false }
    if (bytes !== flush.offset || this.row.seq < flush.headSeq) {
      return { outcome: { status: 'gap', bytes }, isNew: false }
    }
    if (this.#part?.messageId !== flush.messageId) {
      if (this.#part) group.outdate(this.id)
      this.#startPart(flush.messageId)
      this.#save(group)
    }
    const piece = JSON.stringify(flush.text)
    if (added > 0) group.pieces.push({ session_id: this.id, part: this.row.part, byte_offset: bytes, piece })
    this.restoreText(flush.text)
    return { outcome: { status: 'ok' }, isNew: true }
  }

  /** Pieces of the former part are told from those of the next by its number: a message id may come twice. */
  #startPart(messageId: string | undefined): void {
    this.#part = messageId === undefined ? undefined : { messageId, text: '', bytes: 0 }
    this.row.part += 1
    this.row.part_message = messageId ?? null
  }

  /** What follows `after`; see SessionLog.resume. Subscribes the outbox when the answer is `ok`. */
  resume(outbox: Outbox, after: string, limit: number): Resumed {
    const events = this.#missed(after, limit)
    if (!events) return { status: 'below', floor: this.#log.floor, head: this.head }
    if (events.length === limit) return { status: 'more', events }
    this.subscribers.add(outbox)
    return { status: 'ok', events, head: this.head, part: this.part }
  }

  #missed(after: string, limit: number): readonly StoredEvent[] | undefined {
    if (after === 'now' || after === this.head) return []
    if (after !== this.#log.floor && !this.#log.has(after)) return undefined
    return this.#log.after(after, limit)
  }

  events(after: string, limit: number): readonly StoredEvent[] {
    return this.#log.after(after, limit)
  }

  /** Drops events that are projected, all but the newest `keep`. */
  trim({ seq: projected, keep }: Projected, group: WriteGroup): void {
    const { length } = this.#log
    this.#log.drop(Math.max(0, Math.min(length - keep, length - (this.row.seq - projected))))
    this.row.projected = Math.max(this.row.projected, projected)
    this.#save(group)
  }

  get part(): Part | undefined {
    return this.#part && { messageId: this.#part.messageId, text: this.#part.text }
  }

  peek(): SessionHead {
    const { tenant, status, state } = this.row
    return { sessionId: this.id, tenant, status: status as SessionStatus, head: this.head, state }
  }

  load(): SessionRecord {
    const { bodies: inbox } = this.#inbox
    const { bodies: control } = this.#control
    return { ...this.peek(), floor: this.#log.floor, part: this.part, inbox, control, lastCommit: this.row.last_commit }
  }

  restoreCommand(control: boolean, body: string): void {
    const list = control ? this.#control : this.#inbox
    list.push(body)
    this.#waitingBytes += Buffer.byteLength(body)
  }

  restoreSeen(commandId: string, result: string, generation: number): void {
    this.#seen.restore(commandId, result, generation)
  }

  restoreText(text: string): void {
    if (!this.#part) return
    this.#part.text += text
    this.#part.bytes += Buffer.byteLength(text)
  }

  restoreEvent(epoch: number, seq: number, body: string): void {
    this.#log.append(epoch, seq, body)
  }

  #save(group: WriteGroup): void {
    this.row.floor = this.#log.floor
    this.row.inbox_first = this.#inbox.first
    this.row.control_first = this.#control.first
    if (this.row.generation !== this.#seen.generation) group.outdate(this.id)
    this.row.generation = this.#seen.generation
    group.session({ ...this.row })
  }
}

/** The row of a session that has just been spawned. */
export function newSessionRow(shard: number, spawn: Submission): BusSessionRow {
  return {
    session_id: spawn.sessionId,
    shard,
    tenant: spawn.tenant,
    status: 'initializing',
    epoch: 0,
    seq: 0,
    floor: LOG_START,
    projected: 0,
    last_commit: '',
    state: '',
    inbox_first: 0,
    control_first: 0,
    part: 0,
    part_message: null,
    generation: 0,
  }
}

/** The row of a session that comes back: its log is in Postgres, nothing waits. */
export function dormantRow(shard: number, session: DormantSession): BusSessionRow {
  const { sessionId, tenant, status, head, commit, state, accepted } = session
  const { epoch, seq } = parseEventId(head) ?? { epoch: 0, seq: 0 }
  return {
    ...{ session_id: sessionId, shard, tenant, status, epoch, seq, floor: head, projected: seq },
    ...{ last_commit: commit, state, inbox_first: 0, control_first: 0, part: 0, part_message: null },
    generation: Math.floor(accepted / LIMITS.seenCommands),
  }
}
