/**
 * Scheduled tasks as one node of the cluster serves them: takes them in, shows them, cancels them, and sees to those that
 * are due. Everything durable stands in the database, so all nodes serve the same tasks and none of them matters.
 *
 *   schedule → row ▶ scheduler of any node ▶ door ⇒ the task's session
 */
import { ServiceError } from '../protocol/errors.js'
import { newScheduleId, newTaskId } from '../protocol/ids.js'
import type { Holder } from '../protocol/permissions.js'
import { MAX_DELAY_MS, type ScheduledTask, type Timing } from '../protocol/schedule.js'
import type { RefusedEntry, ScheduleEntries } from '../storage/schedule-entries.js'
import type { ListQuery, NewScheduledTask, ScheduledTasks } from '../storage/scheduled-tasks.js'
import type { TaskDependencies } from '../storage/task-dependencies.js'
import { queryableJson } from '../storage/text.js'
import { firstRun } from './cron.js'
import { hashOf, rankOf, type ScheduleRequest } from './request.js'
import { Scheduler, type SchedulerDependencies } from './scheduler.js'
import { scheduledTaskOf } from './view.js'

export interface SchedulingDependencies extends Omit<SchedulerDependencies, 'tasks' | 'dependencies'> {
  readonly tasks: ScheduledTasks
  readonly dependencies: TaskDependencies
  readonly entries: ScheduleEntries
  /** Tasks of one tenant that may wait. */
  readonly maxWaiting: number
  /** Between two runs of a repeated task. */
  readonly minIntervalMs: number
}

/** Who asks, and whether everything of the tenant is theirs to see. */
export interface ScheduleHolder extends Holder {
  readonly seesTenant: boolean
}

export interface ScheduleOrder {
  readonly request: ScheduleRequest
  readonly timing: Timing
  /** The client's own id: sent twice, it is the same scheduled task. */
  readonly key: string | undefined
  /** Where in a trace the order was given. */
  readonly traceparent?: string | undefined
}

export class Scheduling {
  readonly #deps: SchedulingDependencies
  readonly #scheduler: Scheduler

  constructor(deps: SchedulingDependencies) {
    this.#deps = deps
    this.#scheduler = new Scheduler(deps)
  }

  start(): void {
    this.#scheduler.start()
  }

  /** In bounded time; what waits is seen to by other nodes, or after the next start. May be called twice. */
  stop(): Promise<void> {
    return this.#scheduler.stop()
  }

  /**
   * Takes a task in: from then on it runs when its time has come, or ends visibly, whatever becomes of this process.
   * @throws ServiceError when it is refused; the codes that begin with `dependency` and `schedule`, and `task_exists`
   */
  async schedule(holder: ScheduleHolder, order: ScheduleOrder): Promise<ScheduledTask> {
    const { timing } = order
    const now = await this.#deps.tasks.now()
    const waitsFor = [...(timing.dependsOn ?? []), ...(timing.blockedBy ?? [])]
    const task = this.#newTask(holder, order, now)
    const { maxWaiting } = this.#deps
    const sees = { tenant: holder.tenant, owner: ownerSeen(holder) }
    const entered = await this.#deps.entries.enter(task, waitsFor, { maxWaiting, sees })
    if (!('row' in entered)) throw refusal(entered, order, task.taskId, maxWaiting)
    this.#scheduler.nudge()
    const [shown] = await this.list(holder, one(holder, entered.row.id))
    return shown ?? scheduledTaskOf({ ...entered.row, position: 0 }, [])
  }

  /** A page of scheduled tasks, oldest first. */
  async list(holder: ScheduleHolder, query: Omit<ListQuery, 'tenant' | 'owner'>): Promise<readonly ScheduledTask[]> {
    const { tenant } = holder
    const rows = await this.#deps.tasks.list({ ...query, tenant, owner: ownerSeen(holder) })
    const pending = await this.#deps.dependencies.pendingOf(
      tenant,
      rows.filter(({ unmet }) => unmet > 0).map(({ id }) => id),
    )
    return rows.map((row) => scheduledTaskOf(row, pending.get(row.id) ?? []))
  }

  /** Cancels a task that waits, and what is left of a repeated one. May be repeated. @throws ServiceError `schedule_not_found` */
  async cancel(holder: ScheduleHolder, scheduleId: string): Promise<ScheduledTask> {
    const { tenant } = holder
    const [row] = await this.#deps.tasks.requestCancel({ tenant, owner: ownerSeen(holder), id: scheduleId })
    this.#scheduler.nudge()
    const [shown] = row ? [{ ...row, position: 0 }] : await this.#deps.tasks.list(one(holder, scheduleId))
    if (!shown || (!row && shown.status !== 'cancelled')) throw new ServiceError('schedule_not_found', { scheduleId })
    return { ...scheduledTaskOf(shown, []), state: 'cancelled', waitingFor: [], nextRunAt: null }
  }

  /** Cancels what would become this task of a session, if anything waits to. */
  async cancelTask(holder: Holder, sessionId: string, taskId: string): Promise<void> {
    const which = { tenant: holder.tenant, owner: undefined, sessionId, taskId }
    if ((await this.#deps.tasks.requestCancel(which)).length > 0) this.#scheduler.nudge()
  }

  #newTask({ tenant, subject: owner }: Holder, order: ScheduleOrder, now: Date): NewScheduledTask {
    const { request, timing, key, traceparent } = order
    const { repeat } = timing
    const id = newScheduleId()
    const taskId = (typeof request.task === 'string' ? undefined : request.task.id) ?? newTaskId()
    return {
      tenant,
      id,
      owner,
      idemKey: key,
      bodyHash: hashOf(request, timing),
      sessionId: request.kind === 'execute' ? request.sessionId : null,
      taskId,
      request: queryableJson(JSON.stringify(request)),
      rank: rankOf(request),
      repetition: repeat
        ? {
            cron: repeat.cron,
            timezone: repeat.timezone,
            maxRuns: repeat.maxRuns ?? null,
            until: repeat.until === undefined ? null : new Date(repeat.until),
          }
        : null,
      dueAt: dueAt(timing, now, this.#deps.minIntervalMs),
      traceparent,
    }
  }
}

/** @throws ServiceError `schedule_invalid` for what cannot be meant. */
function dueAt({ runAt, delayMs, repeat, dependsOn, blockedBy }: Timing, now: Date, minIntervalMs: number): Date {
  if (runAt !== undefined && delayMs !== undefined) throw invalid('give runAt or delayMs, not both')
  if (repeat && (runAt ?? delayMs ?? dependsOn ?? blockedBy) !== undefined) {
    throw invalid('a repeated task has its own times, and waits for no other')
  }
  if (repeat) {
    const first = firstRun(repeat, now, minIntervalMs)
    if (repeat.until !== undefined && first > new Date(repeat.until)) throw invalid('it would never run before `until`')
    return first
  }
  const at = runAt === undefined ? new Date(now.getTime() + (delayMs ?? 0)) : new Date(runAt)
  if (at.getTime() - now.getTime() > MAX_DELAY_MS) throw invalid('runAt is more than a year away')
  return at
}

function refusal(entered: RefusedEntry, { key }: ScheduleOrder, taskId: string, limit: number) {
  switch (entered.status) {
    case 'conflict':
      return new ServiceError('idempotency_conflict', { key })
    case 'full':
      return new ServiceError('schedule_limit', { limit })
    case 'taken':
      return new ServiceError('task_exists', { task: taskId })
    case 'cycle':
      return new ServiceError('dependency_cycle', { task: entered.task })
    case 'unknown':
      return new ServiceError('dependency_unknown', { task: entered.task })
    case 'endless':
      return invalid(`${entered.task} is repeated and never completed`)
  }
}

const invalid = (reason: string): ServiceError => new ServiceError('schedule_invalid', { reason })

const one = (holder: ScheduleHolder, id: string): ListQuery => ({
  ...{ tenant: holder.tenant, owner: ownerSeen(holder), state: 'all', limit: 1, id },
})

const ownerSeen = ({ subject, seesTenant }: ScheduleHolder): string | undefined => (seesTenant ? undefined : subject)
