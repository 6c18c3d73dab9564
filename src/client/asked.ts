/**
 * What a program asks of the service, and what it gets, beside sessions themselves.
 */
import type { ListedApproval } from '../protocol/approvals.js'
import type { ClientMessageInput } from '../protocol/commands.js'
import type { DelegationInput } from '../protocol/federation.js'
import type { RouteDecision } from '../protocol/replies.js'
import type { QueuedTask } from '../protocol/schedule.js'
import type { Session, SessionOptions, SessionType, TaskInput, TimedTaskInput } from '../protocol/session.js'

export interface SpawnRequest {
  readonly task: TaskInput
  readonly sessionType?: SessionType
  readonly orchestratorId?: string
  /** The same key gives the same session, for ever; default a new one. */
  readonly idempotencyKey?: string
  /** Model, and how agents work together; see the session's type. */
  readonly options?: SessionOptions
}

export interface ScheduleRequest {
  /** With when it is to run: `runAt`, `delayMs`, `dependsOn` or `repeat`. */
  readonly task: Exclude<TimedTaskInput, string>
  /** The session that is to do it; without one each run gets a session of its own. */
  readonly sessionId?: string
  readonly sessionType?: SessionType
  readonly orchestratorId?: string
  /** Of the session that each run gets. */
  readonly options?: SessionOptions
  /** The same key gives the same scheduled task; default a new one. */
  readonly key?: string
}

export interface TaskList {
  readonly tasks: readonly QueuedTask[]
  /** Give it to `tasks` for the next page. */
  readonly cursor?: string
}

export interface ApprovalList {
  readonly approvals: readonly ListedApproval[]
  /** Give it to `approvals` for the next page. */
  readonly cursor?: string
}

export interface SessionList {
  readonly sessions: readonly Session[]
  /** Give it to `list` for the next page. */
  readonly cursor?: string
}

export type PayloadOf<T extends 'list_tasks' | 'list_approvals'> = NonNullable<
  Extract<ClientMessageInput, { type: T }>['payload']
>

/** What a task needs of the one who does it, and how long it may take. */
export type RouteNeeds = Omit<DelegationInput, 'task' | 'id'>

export interface RoutedTask {
  readonly taskId: string
  readonly decision: RouteDecision
}
