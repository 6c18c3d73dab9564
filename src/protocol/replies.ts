/**
 * What answers one connection, and is never stored.
 */
import type { ListedApproval } from './approvals.js'
import type { RequestId } from './commands.js'
import type { DelegationFailure, DelegationResult } from './federation.js'
import type { QueuedTask, ScheduledTask } from './schedule.js'
import type { Session } from './session.js'

export type Reply =
  | ErrorReply
  | CommandAccepted
  | Subscribed
  | (Answer & { readonly type: 'unsubscribed'; readonly sessionId: string })
  | (Answer & { readonly type: 'session_status_update'; readonly sessionId: string; readonly session: Session })
  | (Answer & { readonly type: 'sessions_list'; readonly sessions: readonly Session[]; readonly cursor?: string })
  | (Answer & { readonly type: 'task_scheduled' } & ScheduledTask)
  | (Answer & { readonly type: 'tasks_list'; readonly tasks: readonly QueuedTask[]; readonly cursor?: string })
  | (Answer & {
      readonly type: 'approvals_list'
      readonly approvals: readonly ListedApproval[]
      readonly cursor?: string
    })
  | (Answer & { readonly type: 'daemon_status_response'; readonly status: DaemonStatus })
  | (Answer & {
      readonly type: 'task_routed'
      readonly taskId: string
      readonly decision: RouteDecision
      readonly delegationId?: string
    })
  | (Answer & {
      readonly type: 'delegation_result'
      readonly delegationId: string
      readonly result: DelegationResult
    })
  | (Answer & { readonly type: 'token_refreshed'; readonly token: string; readonly expiresAt: string })
  | (Answer & { readonly type: 'health_check_response'; readonly healthy: boolean })
  | (Answer & { readonly type: 'pong' })

interface Answer {
  readonly requestId?: RequestId
}

export interface ErrorReply extends Answer {
  readonly type: 'error'
  readonly error: string
  readonly code: string
  readonly retryable: boolean
  readonly sessionId?: string
  readonly commandId?: string
  readonly retryAfterMs?: number
}

/** Sent when a worker holds the command durably, to connections that named a `commandId`. */
export interface CommandAccepted extends Answer {
  readonly type: 'command_accepted'
  readonly commandId: string
  readonly sessionId: string
  /** True when the same id was accepted before; `result` is then the event that ended it, once there is one. */
  readonly duplicate: boolean
  readonly result?: string
}

/** Events after `eventId` follow on this connection. With `reset`, forget what you have: `session` replaces it. */
export interface Subscribed extends Answer {
  readonly type: 'subscribed'
  readonly sessionId: string
  readonly eventId: string
  readonly reset: boolean
  readonly session?: Session
}

export interface DaemonStatus {
  readonly name: string
  readonly uptime: number
  readonly activeSessions: number
  readonly maxSessions: number
  readonly memoryUsageMB: number
  readonly cpuUsagePercent: number
  readonly version: string
  readonly status: 'running' | 'degraded'
  readonly queuedTasks: number
  readonly metrics: {
    readonly totalSessionsSpawned: number
    readonly totalTasksProcessed: number
    readonly totalTokensUsed: number
    readonly averageSessionDuration: number
    readonly activeSessions: number
    readonly successRate: number
  }
  readonly subsystems: Readonly<Record<string, Subsystem>>
}

export interface Subsystem {
  /** `running`, `degraded` or `unreachable`. */
  readonly status: string
  readonly lastCheck: string
  /** What is wrong, and what to do about it. */
  readonly errors?: readonly string[]
}

/** Where a task would go: to the worker that owns the shard, for the orchestrator where the tenant has some. */
export interface RouteDecision {
  /** The worker that owns the shard now. */
  readonly worker: string
  readonly shard: number
  /** Of the placement of sessions, or `federation`. */
  readonly strategy: string
  /** Who would get it; absent where nobody has registered, or nobody can take it now. */
  readonly orchestrator?: string
  /** More is better; only to be compared with others of the same strategy. */
  readonly score?: number
  /** For people to read. */
  readonly reasons?: readonly string[]
  /** Why no orchestrator can take it now. */
  readonly reason?: DelegationFailure
}
