/**
 * Session and task states as one exhaustive table each, and how events change the small state of a session. All pure.
 */
import type { SmallState } from '../bus/bus.js'
import type { SpawnCommand } from '../bus/command.js'
import type { ApprovalRequest, LoggedEvent, NewEvent } from '../protocol/events.js'
import type { Session, SessionStatus, Task, TaskStatus, TaskUsage } from '../protocol/session.js'

export type SessionTrigger = 'spawn' | 'pause' | 'resume' | 'complete' | 'stop' | 'fail'
export type TaskTrigger = 'start' | 'complete' | 'fail' | 'cancel'

/** What is not in the table is refused. Terminal states are final: their rows are empty. */
const SESSION_TRANSITIONS: Readonly<Record<SessionStatus, Partial<Record<SessionTrigger, SessionStatus>>>> = {
  initializing: { spawn: 'active', stop: 'terminated', fail: 'failed' },
  active: { pause: 'paused', complete: 'completed', stop: 'terminated', fail: 'failed' },
  paused: { resume: 'active', complete: 'completed', stop: 'terminated', fail: 'failed' },
  completed: {},
  terminated: {},
  failed: {},
}

const TASK_TRANSITIONS: Readonly<Record<TaskStatus, Partial<Record<TaskTrigger, TaskStatus>>>> = {
  pending: { start: 'in_progress', cancel: 'cancelled', fail: 'failed' },
  in_progress: { complete: 'completed', fail: 'failed', cancel: 'cancelled' },
  completed: {},
  failed: {},
  cancelled: {},
}

/** The next status, or undefined when the trigger is not allowed in this one. */
export const nextSessionStatus = (status: SessionStatus, trigger: SessionTrigger): SessionStatus | undefined =>
  SESSION_TRANSITIONS[status][trigger]

export const nextTaskStatus = (status: TaskStatus, trigger: TaskTrigger): TaskStatus | undefined =>
  TASK_TRANSITIONS[status][trigger]

/** Longer descriptions are cut in the small state; the log has them whole. */
const STATE_DESCRIPTION_CHARS = 1_000

export function initialState(sessionId: string, spawn: SpawnCommand): SmallState {
  const session: Session = {
    id: sessionId,
    orchestratorId: spawn.orchestratorId,
    task: brief(spawn.task),
    type: spawn.sessionType,
    status: 'active',
    startedAt: spawn.createdAt,
    memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
    metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
    cost: 0,
  }
  const { owner, options } = spawn
  return { session, ...(owner !== undefined && { owner }), ...(options && { options }), turn: 0, cancelled: [] }
}

function brief(task: Task): Task {
  const { metadata: _whole, ...rest } = task
  if (rest.description.length <= STATE_DESCRIPTION_CHARS) return rest
  return { ...rest, description: `${rest.description.slice(0, STATE_DESCRIPTION_CHARS)}…` }
}

/** The small state after an event. */
export function stateAfter(state: SmallState, event: NewEvent | LoggedEvent): SmallState {
  switch (event.type) {
    case 'task_executing':
      return { ...state, turn: event.turn, session: { ...state.session, task: withStatus(event.task, 'start') } }
    case 'task_completed':
      return { ...state, session: afterTask(state.session, event, 'complete') }
    case 'task_failed':
      return { ...state, session: afterTask(state.session, event, 'fail') }
    case 'task_cancelled':
      return { ...state, session: afterTask(state.session, event, 'cancel') }
    case 'approval_request':
      return { ...state, session: withApproval(state.session, event) }
    case 'approval_resolved':
      return { ...state, session: withoutApproval(state.session, event.approvalId) }
    default:
      return state
  }
}

/** What is shown of a reason, and how many approvals: the small state is small. The log has all of it. */
const SHOWN_REASON_CHARS = 200
const SHOWN_APPROVALS = 8

function withApproval(session: Session, event: Omit<ApprovalRequest, 'eventId'>): Session {
  const { approvalId, toolName, level, expiresAt } = event
  const reason = event.reason.slice(0, SHOWN_REASON_CHARS)
  const pending = [...(session.pendingApprovals ?? []), { approvalId, toolName, reason, level, expiresAt }]
  return { ...session, pendingApprovals: pending.slice(-SHOWN_APPROVALS) }
}

function withoutApproval({ pendingApprovals = [], ...session }: Session, approvalId?: string): Session {
  const left = pendingApprovals.filter((each) => approvalId !== undefined && each.approvalId !== approvalId)
  return left.length > 0 ? { ...session, pendingApprovals: left } : session
}

function withStatus(task: Task, trigger: TaskTrigger): Task {
  return { ...brief(task), status: nextTaskStatus(task.status, trigger) ?? task.status }
}

interface Ended {
  readonly taskId: string
  readonly usage: TaskUsage
}

/** A task that ended while it waited leaves the one that the session works on as it is. */
function afterTask(session: Session, { taskId, usage }: Ended, trigger: TaskTrigger): Session {
  const { metrics, task } = session
  const tasksCompleted = metrics.tasksCompleted + (trigger === 'complete' ? 1 : 0)
  const duration = metrics.duration + usage.duration
  return {
    ...(task?.id === taskId ? withoutApproval(session) : session),
    task: task?.id === taskId ? withStatus(task, trigger) : task,
    cost: session.cost + usage.cost,
    metrics: {
      tokensUsed: metrics.tokensUsed + usage.promptTokens + usage.completionTokens,
      duration,
      tasksCompleted,
      errorsEncountered: metrics.errorsEncountered + (trigger === 'fail' ? 1 : 0),
      averageResponseTime: tasksCompleted === 0 ? 0 : Math.round(duration / tasksCompleted),
    },
  }
}

/** The small state with another status of the session; `error` is why it has failed. */
export function stateWithStatus(
  state: SmallState,
  status: SessionStatus,
  endedAt: string | undefined,
  error?: string,
): SmallState {
  const end = { ...(endedAt !== undefined && { endedAt }), ...(error !== undefined && { error }) }
  return { ...state, session: { ...state.session, status, ...end } }
}
