/**
 * Sessions and tasks over HTTP: each request is a message, carried out by the same dispatch as a WebSocket's.
 */
import type { ClientMessage } from '../../protocol/commands.js'
import { newCommandId } from '../../protocol/ids.js'
import type { ScheduledTask } from '../../protocol/schedule.js'
import { timingOf } from '../../protocol/schedule.js'
import { type AcceptedReply, type Caller, command, sessionOf, taskIdOf } from '../caller.js'
import { type Answer, type Header, json, ok } from './answer.js'
import type { Asked, Handlers } from './handlers.js'
import { invalid } from './problems.js'

type Payload<T extends 'spawn_session' | 'execute_task' | 'list_tasks'> = NonNullable<
  Extract<ClientMessage, { readonly type: T }>['payload']
>
type Verb = 'stop_session' | 'complete_session' | 'pause_session' | 'resume_session'
type VerbName = 'removeSession' | 'stopSession' | 'completeSession' | 'pauseSession' | 'resumeSession'

export const SESSION_ANSWERS: Handlers<
  VerbName | 'listSessions' | 'spawnSession' | 'sessionStatus' | 'cancelTask' | 'executeTask' | TaskList
> = {
  listSessions: async ({ caller, query }) => {
    const { limit, cursor, status: statuses, type: sessionType, orchestratorId, q: search } = query
    const payload = { limit, cursor, statuses, sessionType, orchestratorId, search }
    const { sessions, cursor: next } = await caller.ask({ type: 'list_sessions', payload }, 'sessions_list')
    return ok({ sessions, ...(next !== undefined && { cursor: next }) })
  },
  spawnSession: async ({ caller, body, key }) => {
    if (key !== undefined && body.idempotencyKey !== undefined && key !== body.idempotencyKey) {
      throw invalid('idempotencyKey: is another one than the header Idempotency-Key')
    }
    return spawn(caller, { ...body, idempotencyKey: body.idempotencyKey ?? key })
  },
  sessionStatus: async ({ caller, params }) => ok(await sessionOf(caller, params.sessionId)),
  removeSession: verb('stop_session'),
  stopSession: verb('stop_session'),
  completeSession: verb('complete_session'),
  pauseSession: verb('pause_session'),
  resumeSession: verb('resume_session'),
  cancelTask: async ({ caller, params, body, key }) =>
    accepted(await command(caller, { type: 'cancel_task', payload: { ...params, ...body } }, key)),
  executeTask: async ({ caller, params, body, key }) => {
    const commandId = key ?? newCommandId()
    const task = named(body.task, taskIdOf(params.sessionId, commandId))
    const message = { type: 'execute_task', commandId, payload: { ...body, ...params, task } } as const
    if (timingOf(body.task)) return scheduled(await caller.ask(message, 'task_scheduled'))
    const reply = await command(caller, message, commandId)
    return accepted({ ...reply, taskId: task.id })
  },
  listSessionTasks: async ({ caller, params, query }) => tasks(caller, { ...query, ...params }),
  listTasks: async ({ caller, query }) => tasks(caller, query),
  cancelScheduled: async ({ caller, params }) =>
    ok(scheduledTask(await caller.ask({ type: 'cancel_scheduled', payload: params }, 'task_scheduled'))),
}
type TaskList = 'listSessionTasks' | 'listTasks' | 'cancelScheduled'

/** Spawns a session, or finds the one that its key stands for. */
export async function spawn(caller: Caller, payload: Payload<'spawn_session'>): Promise<Answer> {
  const message = { type: 'spawn_session', commandId: newCommandId(), payload } as const
  const isTimed = timingOf(payload.task) !== undefined
  if (isTimed) return scheduled(await caller.ask(message, 'task_scheduled'))
  const { sessionId, duplicate } = await caller.ask(message, 'command_accepted')
  const location: Header = ['location', `/api/sessions/${sessionId}`]
  return json(201, await sessionOf(caller, sessionId), [location, ...replayed(duplicate)])
}

export const accepted = (reply: AcceptedReply & { readonly taskId?: string }): Answer =>
  json(202, reply, replayed(reply.duplicate))

const replayed = (duplicate: boolean): readonly Header[] => (duplicate ? [['idempotency-replayed', 'true']] : [])

function verb(type: Verb): (asked: Pick<Asked<'stopSession'>, 'caller' | 'params' | 'key'>) => Promise<Answer> {
  return async ({ caller, params, key }) => accepted(await command(caller, { type, payload: params }, key))
}

async function tasks(caller: Caller, payload: Payload<'list_tasks'>): Promise<Answer> {
  const { tasks, cursor } = await caller.ask({ type: 'list_tasks', payload }, 'tasks_list')
  return ok({ tasks, ...(cursor !== undefined && { cursor }) })
}

/** A task with a name of its own keeps it. */
function named(task: Payload<'execute_task'>['task'], id: string) {
  if (typeof task !== 'string') return { ...task, id: task.id ?? id }
  return { id, description: task, type: 'general', priority: 'medium' } as const
}

const scheduled = (reply: Parameters<typeof scheduledTask>[0]): Answer => json(202, scheduledTask(reply))

function scheduledTask({ type: _type, ...task }: ScheduledTask & { readonly type: string }): ScheduledTask {
  return task
}
