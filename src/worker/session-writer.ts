/**
 * What is recorded of a session, and the only way to add to it: its status and small state, the conversation that its
 * events tell, and the batch that writes them.
 */
import type { Claim, Part, SmallState } from '../bus/bus.js'
import type { Command, SpawnCommand } from '../bus/command.js'
import type { NewEvent } from '../protocol/events.js'
import { parseEventId } from '../protocol/ids.js'
import { isTerminal, type Session, type SessionStatus } from '../protocol/session.js'
import { isSampled } from '../protocol/traceparent.js'
import type { SessionMeter } from '../telemetry/metrics.js'
import type { Entry } from './change-builder.js'
import { Conversation } from './conversation.js'
import { EventBatch } from './event-batch.js'
import { lookbackOf } from './lookback.js'
import type { LoadedSession, SessionServices } from './session-services.js'
import { initialState, nextSessionStatus, type SessionTrigger, stateAfter, stateWithStatus } from './session-state.js'
import type { EventBase } from './step-journal.js'
import type { WriterLost } from './writer-lost.js'

export interface SessionWriterOptions {
  readonly record: LoadedSession
  readonly claim: Claim
  readonly services: SessionServices
  /** True for a session that was spawned a moment ago on this worker: nothing of it is anywhere else. */
  readonly fresh: boolean
  readonly onLost: (error: WriterLost) => void
}

/** What goes with events into the same commit. */
export type Along = Partial<Pick<Entry, 'popInbox' | 'popControl' | 'ended' | 'clearPart'>>

export class SessionWriter {
  readonly sessionId: string
  readonly batch: EventBatch
  readonly conversation: Conversation
  readonly meter: SessionMeter
  readonly #services: SessionServices
  #status: SessionStatus
  #state: SmallState | undefined
  #part: Part | undefined
  #historyIsHere: boolean

  constructor({ record, claim, services, fresh, onLost }: SessionWriterOptions) {
    const { sessionId } = record
    this.sessionId = sessionId
    this.meter = services.openMeter()
    this.#services = services
    this.#status = record.status
    this.#state = record.state === '' ? undefined : (JSON.parse(record.state) as SmallState)
    this.#part = record.part
    this.#historyIsHere = fresh
    this.conversation = new Conversation(() => lookbackOf(this.#state?.session.type))
    this.batch = new EventBatch({
      log: services.log,
      claim,
      sessionId,
      headSeq: parseEventId(record.head)?.seq ?? 0,
      part: record.part,
      lastCommit: record.lastCommit,
      tracing: services.tracing,
      interval: services.flushInterval,
      restore: () => services.restoreStore(claim, sessionId),
      onWritten: (written) => services.onWritten(claim, sessionId, written),
      onLost,
    })
  }

  get status(): SessionStatus {
    return this.#status
  }

  /** Undefined before the session has been announced. */
  get session(): Session | undefined {
    return this.#state?.session
  }

  get state(): SmallState {
    if (!this.#state) throw new Error(`session ${this.sessionId} has not been spawned`)
    return this.#state
  }

  /** Whether this worker knows all of the session; false until `loadHistory` where it was not spawned here. */
  get historyIsHere(): boolean {
    return this.#historyIsHere
  }

  /** Text that a former owner left of an open message, once. */
  takePart(): Part | undefined {
    const part = this.#part
    this.#part = undefined
    return part
  }

  /**
   * Reads the log back as far as its runtime looks back, before the first turn of a session that was not spawned here. Not
   * where nothing of it is needed: the runtime looks back at no former task, and no turn was left unfinished.
   */
  async loadHistory(signal: AbortSignal): Promise<void> {
    if (this.#historyIsHere) return
    if (this.#needsHistory()) {
      const lookback = lookbackOf(this.state.session.type)
      const events = await this.#services.readHistory(this.sessionId, lookback, signal)
      for (const event of events) this.conversation.apply(event)
    }
    this.#historyIsHere = true
  }

  #needsHistory(): boolean {
    const { session } = this.state
    return lookbackOf(session.type) === 'context' || session.task?.status === 'in_progress'
  }

  /** What every event carries; `requestId` and `traceparent` echo the command that caused it. */
  base(command: Command | undefined): EventBase {
    const timestamp = this.#services.now().toISOString()
    const base =
      command?.requestId === undefined
        ? { sessionId: this.sessionId, timestamp }
        : { sessionId: this.sessionId, timestamp, requestId: command.requestId }
    // In front of what a client has written: edges look for it at the beginning.
    const traceparent = command?.traceparent
    return traceparent !== undefined && isSampled(traceparent) ? { traceparent, ...base } : base
  }

  /** Appends events and applies them to what this worker remembers. Resolves when they are durable. @throws WriterLost */
  record(events: readonly NewEvent[], along: Along = {}): Promise<void> {
    let state = this.state
    for (const event of events) {
      state = stateAfter(state, event)
      this.conversation.apply(event)
      this.meter.recorded(state.session, event)
    }
    this.#state = state
    return this.batch.append({ ...along, events, status: this.#status, state })
  }

  /** Announces the session. One that a former owner has announced stays as it is. */
  spawn(command: SpawnCommand): void {
    const status = nextSessionStatus(this.#status, 'spawn')
    if (status === undefined) return
    this.#status = status
    this.#state = initialState(this.sessionId, command)
    const { session } = this.#state
    const metadata = { createdAt: command.createdAt }
    // Goes out together with what follows; losing the writer is seen there.
    this.record([{ type: 'session_spawned', ...this.base(command), status: 'active', metadata, session }]).catch(
      () => undefined,
    )
  }

  /** Moves the status as the table allows; a trigger that it does not allow changes nothing. `error` is why it failed. */
  trigger(trigger: SessionTrigger, error?: string): void {
    const status = nextSessionStatus(this.#status, trigger)
    if (status === undefined) return
    this.#status = status
    const endedAt = isTerminal(status) ? this.#services.now().toISOString() : undefined
    this.#state = stateWithStatus(this.state, status, endedAt, error)
  }

  /** Notes that a waiting command is to be passed over, or that it has been. */
  setCancelled(commandId: string, cancelled: boolean): void {
    const others = this.state.cancelled.filter((id) => id !== commandId)
    this.#state = { ...this.state, cancelled: cancelled ? [...others, commandId] : others }
  }
}
