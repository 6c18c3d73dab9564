/**
 * Tasks that wait: takes those in that are not to run at once, shows what waits for what, and cancels.
 */
import type { SessionLog, SessionRecord, SmallState } from '../bus/bus.js'
import type { Command, TaskCommand } from '../bus/command.js'
import { ServiceError } from '../protocol/errors.js'
import { type Holder, seesTenant } from '../protocol/permissions.js'
import type { Reply } from '../protocol/replies.js'
import type { SessionTaskEntry, Timing } from '../protocol/schedule.js'
import { isTerminal, untimed } from '../protocol/session.js'
import { contextOf } from '../protocol/traceparent.js'
import { commandAccepted } from './acceptance-reply.js'
import type { Principal } from './auth.js'
import type { Client } from './client.js'
import type { EdgeLog, TaskScheduling } from './dependencies.js'
import { type Message, requestIdOf } from './message.js'
import { echo } from './queries.js'
import type { SessionRows } from './rows.js'
import type { SessionDirectory } from './session-directory.js'

const DEFAULT_PAGE = 100
/** Sessions whose inboxes one question without a session looks into: the newest that have not ended. */
const MAX_INBOXES = 20
const MAX_DESCRIPTION_CHARS = 200

export interface TaskQueueDependencies {
  readonly scheduling: TaskScheduling
  readonly directory: SessionDirectory
  readonly sessions: Pick<SessionRows, 'listByTenant'>
  readonly log: Pick<SessionLog, 'load'>
  readonly trace: EdgeLog
}

export class TaskQueue {
  readonly #deps: TaskQueueDependencies

  constructor(deps: TaskQueueDependencies) {
    this.#deps = deps
  }

  /** Keeps a task of a session that its client watches, until its time has come. @throws ServiceError when it is refused. */
  async execute(client: Client, message: Message<'execute_task'>, timing: Timing): Promise<void> {
    const { sessionId, task, context } = message.payload
    const { commandId, requestId = message.id } = message
    const request = { kind: 'execute', sessionId, task: untimed(task), ...(context && { context }) } as const
    const session = await this.#deps.directory.snapshot(sessionId)
    if (session && isTerminal(session.status)) {
      throw new ServiceError('session_not_running', { sessionId, status: session.status })
    }
    const scheduled = await this.#deps.scheduling.schedule(holderOf(client.principal), {
      ...{ request, timing, key: commandId, traceparent: contextOf(message) },
    })
    if (commandId !== undefined) {
      push(client, commandAccepted({ commandId, sessionId, requestId, duplicate: false, result: '' }))
    }
    push(client, { type: 'task_scheduled', ...scheduled, ...echo(requestId) })
  }

  /** Keeps a task that is to get a session of its own. @throws ServiceError when it is refused. */
  async spawn(client: Client, message: Message<'spawn_session'>, timing: Timing): Promise<void> {
    const { task, idempotencyKey, ...rest } = message.payload
    const request = { kind: 'spawn', ...rest, task: untimed(task) } as const
    const key = idempotencyKey ?? message.commandId
    const order = { request, timing, key, traceparent: contextOf(message) }
    const scheduled = await this.#deps.scheduling.schedule(holderOf(client.principal), order)
    push(client, { type: 'task_scheduled', ...scheduled, ...echo(requestIdOf(message)) })
  }

  async cancel(client: Client, message: Message<'cancel_scheduled'>): Promise<void> {
    const { scheduleId } = message.payload
    const cancelled = await this.#deps.scheduling.cancel(holderOf(client.principal), scheduleId)
    push(client, { type: 'task_scheduled', ...cancelled, ...echo(requestIdOf(message)) })
  }

  /** What would become this task must not begin either. Not waited for: the session is told at once, database or not. */
  cancelWaiting(principal: Principal, sessionId: string, taskId: string): void {
    this.#deps.scheduling.cancelTask(principal, sessionId, taskId).catch((err: unknown) => {
      this.#deps.trace.warn({ err, sessionId, taskId }, 'whether the task is scheduled, too, could not be looked up')
    })
  }

  /** First what stands in inboxes, in their order, then what is scheduled; later pages hold scheduled tasks only. */
  async list(principal: Principal, message: Message<'list_tasks'>): Promise<Reply> {
    const { sessionId, state = 'waiting', limit = DEFAULT_PAGE, cursor } = message.payload ?? {}
    if (sessionId !== undefined) await this.#deps.directory.checkAccess(sessionId, principal)
    const [inboxes, scheduled] = await Promise.all([
      cursor === undefined && state !== 'over' ? this.#inboxes(principal, sessionId) : [],
      this.#deps.scheduling.list(holderOf(principal), { sessionId, state, limit: limit + 1, after: cursor }),
    ])
    const page = scheduled.slice(0, limit)
    const last = scheduled.length > limit ? page.at(-1)?.scheduleId : undefined
    return {
      type: 'tasks_list',
      tasks: [...inboxes, ...page],
      ...(last !== undefined && { cursor: last }),
      ...echo(requestIdOf(message)),
    }
  }

  async #inboxes(principal: Principal, sessionId: string | undefined): Promise<readonly SessionTaskEntry[]> {
    const ids = sessionId === undefined ? await this.#newest(principal) : [sessionId]
    const records = await Promise.all(ids.map((id) => this.#deps.log.load(id)))
    return records.flatMap((record) => (record ? entriesOf(record) : []))
  }

  async #newest(principal: Principal): Promise<readonly string[]> {
    const owner = seesTenant(principal.role) ? undefined : principal.subject
    const page = await this.#deps.sessions.listByTenant(principal.tenant, { limit: MAX_INBOXES, owner })
    return page.sessions.filter(({ status }) => !isTerminal(status)).map(({ id }) => id)
  }
}

const holderOf = (principal: Principal): Holder & { readonly seesTenant: boolean } => ({
  tenant: principal.tenant,
  subject: principal.subject,
  seesTenant: seesTenant(principal.role),
})

/** The first command runs, or waits for a slot of its worker: its session has announced it then. */
function entriesOf({ sessionId, inbox, state }: SessionRecord): SessionTaskEntry[] {
  const known = state === '' ? undefined : (JSON.parse(state) as SmallState)
  const isPaused = known?.session.status === 'paused'
  const running = known?.session.task?.status === 'in_progress' ? known.session.task.id : undefined
  const tasks = inbox.map((body) => JSON.parse(body) as Command).filter(isTask)
  const waiting = tasks.filter(({ id }) => !known?.cancelled.includes(id))
  return waiting.map(({ task }, index) => {
    const runs = index === 0 && task.id === running
    return {
      taskId: task.id,
      sessionId,
      description: task.description.slice(0, MAX_DESCRIPTION_CHARS),
      priority: task.priority,
      state: runs ? 'in_progress' : 'pending',
      waitingFor: runs ? [] : [{ kind: isPaused ? 'resume' : 'turn' }],
      since: task.updatedAt,
      position: runs ? 0 : waiting[0]?.task.id === running ? index : index + 1,
    }
  })
}

const isTask = (command: Command): command is TaskCommand => 'task' in command

function push(client: Client, frame: Reply): void {
  if (client.isOpen) client.push(JSON.stringify(frame))
}
