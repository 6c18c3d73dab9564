/**
 * A command on its way from an edge to the worker that owns the session's shard.
 */
import type { RequestId } from '../protocol/commands.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { SessionOptions, SessionType, Task } from '../protocol/session.js'

interface Identified {
  /** The client's own id, or one that the edge minted. Within a session it takes effect once. */
  readonly id: string
  readonly requestId?: RequestId
  /** Where in a trace it came from. Stands in the body, so that it is still known after a takeover. */
  readonly traceparent?: string
}

export interface SpawnCommand extends Identified {
  readonly type: 'spawn'
  /** The subject that spawns; it alone may use the session, beside administrators of its tenant. */
  readonly owner?: string
  readonly orchestratorId: string
  readonly sessionType: SessionType
  readonly options?: SessionOptions
  readonly task: Task
  readonly createdAt: string
}

export interface ExecuteCommand extends Identified {
  readonly type: 'execute'
  readonly task: Task
  readonly context?: Readonly<Record<string, unknown>>
  /** How the task ended while it waited outside the session, which is only told of it. */
  readonly ended?: UnbegunEnd
}

/** A command that is a task. */
export type TaskCommand = SpawnCommand | ExecuteCommand

/** The session is over when everything that was accepted before is done. */
export interface CompleteCommand extends Identified {
  readonly type: 'complete'
}

export type UnbegunEnd =
  | { readonly status: 'failed'; readonly code: string; readonly error: string }
  | { readonly status: 'cancelled'; readonly reason: string }

/**
 * `cancel` without a task id means the running task. `approval` says that one has been decided: Postgres knows how. `stop`
 * with a `failure` ends the session as failed.
 */
export interface ControlCommand extends Identified {
  readonly type: 'stop' | 'pause' | 'resume' | 'cancel' | 'approval'
  readonly failure?: string
  readonly taskId?: string
  readonly approvalId?: string
}

/** What the session works through, in order of acceptance; control commands overtake a running turn. */
export type Command = SpawnCommand | ExecuteCommand | CompleteCommand | ControlCommand

export const isControl = (type: Submission['type']): boolean =>
  type === 'stop' || type === 'pause' || type === 'resume' || type === 'cancel' || type === 'approval'

/**
 * An edge asks for a session that the store does not hold, because a client watches it. It travels as a command so that it
 * comes to the owner, creates no event and waits in no inbox.
 */
export const HYDRATE = 'hydrate'

/** The name of an edge's out-stream: where acceptances and events for its clients go. */
export type Outbox = `${NodeId}-${number}`

/** A command with what routing needs; `body` is the JSON of the `Command`, never parsed on the way. */
export interface Submission {
  readonly sessionId: SessionId
  readonly commandId: string
  readonly type: Command['type'] | typeof HYDRATE
  readonly tenant: string
  readonly outbox: Outbox
  /** True for the first submission of a spawn whose row this edge has just inserted: no session can exist yet. */
  readonly fresh: boolean
  readonly body: string
}

/** A submission for whichever outbox the edge has at that moment. */
export type SubmissionRequest = Omit<Submission, 'outbox'>
