/**
 * What a program hears of its sessions, made from the very messages that every client gets: nothing is announced that did
 * not happen, and everything in the order of the session's log.
 */
import type { ServerMessage, TaskCancelled, TaskCompleted, TaskExecuting, TaskFailed } from '../protocol/events.js'
import type { Session, SessionMetrics, SessionStatus } from '../protocol/session.js'

/** Events of sessions and the arguments of their listeners. */
export interface SessionEvents {
  /** A worker has the session. */
  'session:spawned': [session: Session]
  /** The session has begun to work on a task. */
  'session:running': [session: Session]
  /** The session was stopped. */
  'session:stopped': [session: Session]
  'session:completed': [session: Session]
  'session:failed': [session: Session]
  /** A task has ended: what the session has used so far. */
  'session:metrics_updated': [update: { readonly sessionId: string; readonly metrics: SessionMetrics }]
  'task:executing': [event: TaskExecuting]
  'task:completed': [event: TaskCompleted]
  'task:failed': [event: TaskFailed]
  'task:cancelled': [event: TaskCancelled]
}

/** One event with its arguments. */
export type SessionEvent = {
  [Name in keyof SessionEvents]: readonly [name: Name, ...SessionEvents[Name]]
}[keyof SessionEvents]

const ENDS: Readonly<Partial<Record<SessionStatus, 'session:completed' | 'session:stopped' | 'session:failed'>>> = {
  completed: 'session:completed',
  terminated: 'session:stopped',
  failed: 'session:failed',
}

/** The session as it stands after `message`, and what is to be told of it. `before` is undefined until it is known. */
export function eventsOf(
  message: ServerMessage,
  before: Session | undefined,
): { readonly session: Session | undefined; readonly events: readonly SessionEvent[] } {
  switch (message.type) {
    case 'session_spawned':
      return { session: message.session, events: [['session:spawned', message.session]] }
    case 'session_status_update': {
      const end = ENDS[message.session.status]
      return { session: message.session, events: end === undefined ? [] : [[end, message.session]] }
    }
    case 'subscribed':
      return { session: message.session ?? before, events: [] }
    case 'task_executing': {
      const session = before && { ...before, task: message.task }
      return {
        session,
        events: [...(session ? [['session:running', session] as const] : []), ['task:executing', message]],
      }
    }
    case 'task_completed':
      return ended(before, message, ['task:completed', message])
    case 'task_failed':
      return ended(before, message, ['task:failed', message])
    case 'task_cancelled':
      return ended(before, message, ['task:cancelled', message])
    default:
      return { session: before, events: [] }
  }
}

type End = TaskCompleted | TaskFailed | TaskCancelled

function ended(before: Session | undefined, end: End, event: SessionEvent) {
  if (!before) return { session: before, events: [event] }
  const session = { ...before, metrics: metricsAfter(before.metrics, end) }
  const update = { sessionId: end.sessionId, metrics: session.metrics }
  return { session, events: [event, ['session:metrics_updated', update] as const] }
}

/** As the worker counts. */
function metricsAfter(metrics: SessionMetrics, { type, usage }: End): SessionMetrics {
  const duration = metrics.duration + usage.duration
  const tasksCompleted = metrics.tasksCompleted + (type === 'task_completed' ? 1 : 0)
  return {
    tokensUsed: metrics.tokensUsed + usage.promptTokens + usage.completionTokens,
    duration,
    tasksCompleted,
    errorsEncountered: metrics.errorsEncountered + (type === 'task_failed' ? 1 : 0),
    averageResponseTime: tasksCompleted === 0 ? 0 : Math.round(duration / tasksCompleted),
  }
}
