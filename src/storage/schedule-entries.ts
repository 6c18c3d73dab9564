/**
 * Takes a scheduled task in: all checks and the row in one transaction, one after the other within a tenant, so that no two
 * can wait for each other and nobody gets more room than there is.
 */
import type { Transaction } from 'kysely'
import type { DependencyInput } from '../protocol/schedule.js'
import type { Database } from './database.js'
import { type NewScheduledTask, type ScheduledRow, ScheduledTasks } from './scheduled-tasks.js'
import type { Schema } from './schema.js'
import { type Dependency, TaskDependencies, type Whose } from './task-dependencies.js'

export type Entered = { readonly status: 'new' | 'existing'; readonly row: ScheduledRow } | RefusedEntry

export type RefusedEntry =
  /** The key was used for something else. */
  | { readonly status: 'conflict' }
  | { readonly status: 'full' }
  /** The session has a task of this id. */
  | { readonly status: 'taken' }
  /** There is no such task to wait for, or it never ends. */
  | { readonly status: 'unknown' | 'endless' | 'cycle'; readonly task: string }

export interface EntryLimits {
  readonly maxWaiting: number
  /** Whose tasks may be waited for. */
  readonly sees: Whose
}

type Refused = Extract<RefusedEntry, { task: string }>
type Open = Transaction<Schema>

export class ScheduleEntries {
  readonly #tasks: ScheduledTasks
  readonly #dependencies: TaskDependencies

  constructor(database: Database) {
    this.#tasks = new ScheduledTasks(database)
    this.#dependencies = new TaskDependencies(database)
  }

  /** May be repeated: with the same key and body it is the same task. */
  enter(task: NewScheduledTask, waitsFor: readonly DependencyInput[], limits: EntryLimits): Promise<Entered> {
    return this.#tasks.inTurn(task.tenant, async (open) => {
      const before = task.idemKey === undefined ? undefined : await this.#tasks.findByKey(task, open)
      if (before)
        return before.bodyHash === task.bodyHash ? { status: 'existing', row: before } : { status: 'conflict' }
      if ((await this.#tasks.countWaiting(task.tenant, open)) >= limits.maxWaiting) return { status: 'full' }
      const { sessionId, taskId } = task
      if (sessionId !== null && (await this.#dependencies.hasTask(sessionId, taskId, open))) return { status: 'taken' }
      return await this.#insert(task, waitsFor, limits.sees, open)
    })
  }

  async #insert(
    task: NewScheduledTask,
    waitsFor: readonly DependencyInput[],
    sees: Whose,
    open: Open,
  ): Promise<Entered> {
    const found: Dependency[] = []
    for (const each of waitsFor) {
      const dependency = await this.#find(each, task, sees, open)
      if ('status' in dependency) return dependency
      found.push(dependency)
    }
    const cycle = await this.#cycleOf(task, found, open)
    if (cycle !== undefined) return { status: 'cycle', task: cycle }
    const row = await this.#tasks.insert(task, found.length, open)
    await this.#dependencies.insert(row, found, open)
    if (task.sessionId !== null) await this.#dependencies.adopt(row, task.sessionId, task.taskId, open)
    return { status: 'new', row }
  }

  /** A bare id means the task of the same session, or else the caller's latest scheduled task of that id. */
  async #find(input: DependencyInput, task: NewScheduledTask, sees: Whose, open: Open): Promise<Dependency | Refused> {
    const { taskId, sessionId } = typeof input === 'string' ? { taskId: input, sessionId: undefined } : input
    const at = sessionId ?? task.sessionId
    const scheduled =
      (await this.#dependencies.findScheduled(sees, taskId, at, open)) ??
      (sessionId === undefined ? await this.#dependencies.findScheduled(sees, taskId, null, open) : undefined)
    if (scheduled) {
      if (scheduled.cron !== null) return { status: 'endless', task: taskId }
      return { taskId, sessionId: scheduled.sessionId, scheduleId: scheduled.id }
    }
    const owner = at === null ? undefined : await this.#dependencies.sessionOwner(at, open)
    const isVisible = owner?.tenant === sees.tenant && (sees.owner === undefined || owner.owner === sees.owner)
    return isVisible ? { taskId, sessionId: at, scheduleId: null } : { status: 'unknown', task: taskId }
  }

  /** Somebody may wait for a task of this session that did not exist until now. */
  async #cycleOf({ tenant, sessionId, taskId }: NewScheduledTask, found: readonly Dependency[], open: Open) {
    const itself = found.find((it) => it.sessionId === sessionId && sessionId !== null && it.taskId === taskId)
    if (itself) return itself.taskId
    const behind = found.flatMap(({ scheduleId }) => scheduleId ?? [])
    if (sessionId === null || behind.length === 0) return undefined
    return await this.#dependencies.cycleThrough({ tenant, sessionId, taskId }, behind, open)
  }
}
