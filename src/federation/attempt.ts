/**
 * One attempt at a delegated task as the federation sees it; how it reaches a session is somebody else's business.
 */
import type { TaskCancelled, TaskCompleted, TaskFailed } from '../protocol/events.js'
import type { DelegationFailure } from '../protocol/federation.js'
import type { DelegationRow } from '../storage/delegations.js'

/** A delegation of which an attempt is under way. */
export type Assigned = DelegationRow & { readonly target: string }

/**
 * Id of the task and of the command of an attempt. It follows from the row alone: whoever comes back to the attempt sends
 * the same command again, and it takes effect once.
 */
export const attemptId = ({ id, attempt }: Pick<DelegationRow, 'id' | 'attempt'>): string =>
  attempt === 1 ? id : `${id}.${attempt}`

export type AttemptOutcome =
  /** The event that ended the task. */
  | { readonly status: 'ended'; readonly end: TaskCompleted | TaskFailed | TaskCancelled; readonly sessionId: string }
  /** It did not run, and will not. `retry`: it may be tried elsewhere. */
  | {
      readonly status: 'refused'
      readonly reason: DelegationFailure
      readonly code: string
      readonly error: string
      readonly retry: boolean
    }
  /** Cancelled, and nobody confirmed the end: whether it still runs is not known. */
  | { readonly status: 'unknown'; readonly sessionId: string | null }
  /** Given up here, to be gone on with by another watcher. */
  | { readonly status: 'abandoned' }

export interface AttemptSignals {
  /** Aborted: ask for the end of the task, wait for it a little, and say how it ended. */
  readonly cancel: AbortSignal
  /** Aborted: leave the task alone and stop watching. */
  readonly abandon: AbortSignal
  /** Where in a trace the attempt belongs. */
  readonly traceparent: string | undefined
  /** Told of the session once it is known. */
  onSession(sessionId: string): Promise<void>
}

/** Brings the task of an attempt to its session and waits for its end. `resumed`: somebody may have done so before. */
export interface TaskRunner {
  run(attempt: Assigned, resumed: boolean, signals: AttemptSignals): Promise<AttemptOutcome>
}
