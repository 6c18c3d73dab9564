/**
 * What a program hears of its sessions, made from the very messages that every client gets: nothing is announced that did
 * not happen, and everything in the order of the session's log.
 */
import type { ServerMessage, TaskCancelled, TaskCompleted, TaskExecuting, TaskFailed } from '../protocol/events.js'
import type { Session, SessionStatus } from '../protocol/session.js'

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
      return { session: before, events: [['task:completed', message]] }
    case 'task_failed':
      return { session: before, events: [['task:failed', message]] }
    case 'task_cancelled':
      return { session: before, events: [['task:cancelled', message]] }
    default:
      return { session: before, events: [] }
  }
}
