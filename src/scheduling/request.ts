/**
 * What a client asked to be scheduled, as it is kept, and the command that a run of it becomes.
 */
import { createHash } from 'node:crypto'
import type { ExecuteCommand } from '../bus/command.js'
import { PRIORITY_ORDER, type Priority, type Timing } from '../protocol/schedule.js'
import { newTask, type SessionOptions, type SessionType, type TaskInput } from '../protocol/session.js'
import type { Run, ScheduledRow } from '../storage/scheduled-tasks.js'

/** A task for a session that is there. */
export interface ExecuteRequest {
  readonly kind: 'execute'
  readonly sessionId: string
  readonly task: TaskInput
  readonly context?: Readonly<Record<string, unknown>> | undefined
}

/** A task that gets a session of its own when its time has come. */
export interface SpawnRequest {
  readonly kind: 'spawn'
  readonly orchestratorId: string
  readonly task: TaskInput
  readonly sessionType?: SessionType | undefined
  readonly memoryProfile?: string | undefined
  readonly options?: SessionOptions | undefined
}

export type ScheduleRequest = ExecuteRequest | SpawnRequest

export const requestOf = ({ request }: Pick<ScheduledRow, 'request'>): ScheduleRequest => request as ScheduleRequest

export const descriptionOf = ({ task }: ScheduleRequest): string => (typeof task === 'string' ? task : task.description)

export const priorityOf = ({ task }: ScheduleRequest): Priority =>
  typeof task === 'string' ? 'medium' : (task.priority ?? 'medium')

export const rankOf = (request: ScheduleRequest): number => PRIORITY_ORDER.indexOf(priorityOf(request))

/** The same for two requests that ask for the same, at the same time. */
export function hashOf(request: ScheduleRequest, timing: Timing): string {
  const {
    createdAt: _at,
    updatedAt: _on,
    status: _is,
    ...task
  } = typeof request.task === 'string' ? { description: request.task } : { ...request.task }
  return createHash('sha256')
    .update(JSON.stringify([{ ...request, task }, timing]))
    .digest('hex')
    .slice(0, 32)
}

/**
 * Id of the command of a run, and of the spawn that it makes. It follows from the row alone: whoever hands the run over
 * again, after whatever crash, sends the same command, which takes effect once.
 */
export const runId = ({ id }: Pick<ScheduledRow, 'id'>, { occurrence }: Run): string => `${id}.${occurrence}`

/** Runs of a repeated task are tasks of their own. */
export const taskIdOf = ({ taskId, cron }: Pick<ScheduledRow, 'taskId' | 'cron'>, { occurrence }: Run): string =>
  cron === null ? taskId : `${taskId}.${occurrence}`

/** The task of a run as its session gets it: it says which run it is, and what was missed before it. */
export function taskOf(row: ScheduledRow, run: Run): Exclude<TaskInput, string> {
  const { task } = requestOf(row)
  const given: Exclude<TaskInput, string> = typeof task === 'string' ? { description: task } : task
  const schedule = { id: row.id, ...run }
  return { ...given, id: taskIdOf(row, run), metadata: { ...given.metadata, schedule } }
}

/** The command that gives a run to its session, which belongs at this place of a trace. */
export function commandOf(row: ScheduledRow, run: Run, traceparent: string | undefined): ExecuteCommand {
  const request = requestOf(row)
  const context = request.kind === 'execute' ? request.context : undefined
  const task = newTask(taskOf(row, run), row.createdAt)
  return {
    ...{ id: runId(row, run), type: 'execute', task },
    ...(context && { context }),
    ...(traceparent !== undefined && { traceparent }),
  }
}

/** The command that tells a session how a task of it ended that never began. */
export function endOf(row: ScheduledRow): ExecuteCommand {
  const { endStatus, endCode, endError } = row
  const run = { occurrence: row.runs + 1, scheduledFor: row.dueAt.toISOString(), missed: 0 }
  const ended =
    endStatus === 'failed'
      ? { status: 'failed' as const, code: endCode ?? 'internal', error: endError ?? 'failed' }
      : { status: 'cancelled' as const, reason: 'cancelled before it began' }
  return { ...commandOf(row, run, row.traceparent ?? undefined), id: `${row.id}.end`, ended }
}
