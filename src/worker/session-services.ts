/**
 * What a session needs from its worker, as one bundle.
 */
import type { Budgets } from '../budget/budgets.js'
import type { Claim, SessionRecord } from '../bus/bus.js'
import type { ApprovalOutcome } from '../protocol/approvals.js'
import type { LoggedEvent } from '../protocol/events.js'
import type { SessionType } from '../protocol/session.js'
import type { Gate } from '../runtimes/gate.js'
import type { ToolHooks } from '../runtimes/hooks/hooks.js'
import type { Runtime, ToolOutcome } from '../runtimes/runtime.js'
import type { Approval, Decided, NewApproval } from '../storage/approvals.js'
import type { SessionMeter } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { WrittenEvents } from './change-builder.js'
import type { WriterLog } from './event-batch.js'
import type { FlushInterval } from './flush-interval.js'
import type { Lookback } from './lookback.js'
import type { CallPlace } from './step-journal.js'
import type { Suspects } from './suspects.js'
import type { TurnSlots } from './turn-slots.js'

export interface Logger {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** The files of sessions: on this machine's disk while a turn runs, in Postgres between workers. */
export interface Workspaces {
  /** The session's directory; `restore` makes it hold exactly what the last committed step left. */
  prepare(sessionId: string, restore: boolean): Promise<string>
  /** Makes changed files durable. A failed outcome says why they cannot be carried. */
  save(sessionId: string): Promise<ToolOutcome | undefined>
}

export interface DeadLetter {
  readonly sessionId: string
  readonly tenant: string
  readonly command: object
  readonly attempts: number
  readonly reason: string
}

/** A tool call that must never run twice. */
export interface OnceCall extends CallPlace {
  readonly sessionId: string
  readonly commandId: string
  /** Of the turn that notes it down: repeating it with the same one is no second call. */
  readonly token: string
}

export interface LoadedSession extends SessionRecord {
  /** Commands that were found to have ended. They may have been accepted anew, and be on their way to the session. */
  readonly ended?: readonly string[]
}

/** A tool call that a person is asked about. */
export type ApprovalAsked = Omit<NewApproval, 'timeoutMs'>

export interface SessionApprovals {
  /**
   * Asks, or finds what was asked before for the same call. Waits through an outage.
   * @throws ServiceError `unavailable` after a minute, or the signal's reason when aborted
   */
  request(asked: ApprovalAsked, signal: AbortSignal): Promise<Approval>
  /** Resolves when it is decided. @throws the signal's reason when aborted */
  decided(approval: Approval, signal: AbortSignal): Promise<Decided>
  /** Looks now whether these are decided. Never rejects. */
  look(ids: readonly string[]): Promise<void>
  /** Withdraws what a task still asks for. Never rejects: what is left expires. */
  cancel(sessionId: string, commandId: string): Promise<void>
}

/** Something that somebody may ask about later. */
export interface Audited {
  readonly tenant: string
  readonly actor: string
  readonly action: string
  readonly sessionId: string
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface SessionServices {
  readonly log: WriterLog
  /** One for all sessions: they share what is busy. */
  readonly flushInterval: Pick<FlushInterval, 'ms' | 'kept'>
  /** Reads a session whole, as far as all that was written of it can be found. */
  loadSession(claim: Claim, sessionId: string): Promise<LoadedSession | undefined>
  readonly slots: TurnSlots
  readonly suspects: Suspects
  readonly workspaces: Workspaces
  readonly logger: Logger
  readonly tracing: Tracing | undefined
  now(): Date
  /** What every tool call passes. */
  readonly gate: Gate
  /** What the operator has declared to run around tool calls. */
  readonly hooks: ToolHooks | undefined
  readonly approvals: SessionApprovals
  /** Written behind; what a dead database does not take is in the log of this process. */
  audit(entry: Audited): void
  onVerdict(decision: 'allow' | 'deny' | 'ask'): void
  /** A person was waited for. */
  onApproval(outcome: ApprovalOutcome | 'aborted', waitedSeconds: number): void
  /** What every model call asks. */
  readonly budgets: Budgets
  /** @throws ServiceError `runtime_missing` */
  runtimeOf(type: SessionType): Runtime
  /** Throws when this process may not start effects any more. */
  beforeEffect(): void
  /** The store lacks what a session has written under this claim. Resolves once it is back; false when it will not be. */
  restoreStore(claim: Claim, sessionId: string): Promise<boolean>
  onWritten(claim: Claim, sessionId: string, written: WrittenEvents): void
  /** Events of a session as far as they are needed, oldest first, from Postgres and the log; see history.ts. */
  readHistory(sessionId: string, lookback: Lookback, signal: AbortSignal): Promise<readonly LoggedEvent[]>
  /**
   * Notes in Postgres that the call begins; false when it had begun before. Waits through an outage.
   * @throws ServiceError `unavailable` after a minute, or the signal's reason when aborted
   */
  beginOnce(call: OnceCall, signal: AbortSignal): Promise<boolean>
  /** Sets a command aside and returns the id of its dead letter. */
  quarantine(letter: DeadLetter): Promise<string>
  /** Counts what happens in one session. */
  openMeter(): SessionMeter
  onTurnBegan(waitedSeconds: number): void
  onTurnEnded(outcome: 'completed' | 'failed' | 'cancelled', seconds: number): void
  onTakeover(seconds: number): void
}
