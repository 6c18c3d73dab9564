/**
 * Moves one scheduled task on whose time has come: hands its run to a session, or tells its session that it will not run.
 * What is handed over is written down before, and its command is named by it, so that a second node that does the same
 * changes nothing.
 */
import type { ExecuteCommand } from '../bus/command.js'
import type { Run, ScheduledRow, ScheduledTasks } from '../storage/scheduled-tasks.js'
import type { Tracing } from '../telemetry/tracing.js'
import { catchUp, nextRun } from './cron.js'
import { commandOf, endOf, requestOf, runId, type SpawnRequest, taskIdOf, taskOf } from './request.js'
import { broughtAs, contextOfRun, runSpan } from './run-trace.js'

/** Pause before the next try, doubled with each: a session that is full needs seconds, a database that is away minutes. */
const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 30_000

export interface SchedulerLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** What the service said to a command. `unsure`: it may have been taken, so the same is sent again. */
export type Brought =
  | { readonly status: 'accepted'; readonly sessionId: string }
  | { readonly status: 'refused'; readonly code: string; readonly error: string }
  | { readonly status: 'unsure' }

/** Brings commands to sessions through the node's own door. */
export interface TaskDoor {
  execute(row: ScheduledRow, sessionId: string, command: ExecuteCommand): Promise<Brought>
  /** Spawns under `id`, once, at this place of a trace. */
  spawn(row: ScheduledRow, request: SpawnRequest, id: string, traceparent: string | undefined): Promise<Brought>
  cancel(row: ScheduledRow, sessionId: string, taskId: string, id: string): Promise<Brought>
}

export interface DueTaskDependencies {
  readonly watcher: string
  readonly tasks: Pick<ScheduledTasks, 'begin' | 'handedOver' | 'postpone' | 'end'>
  readonly door: TaskDoor
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined
  readonly log: SchedulerLog
}

export class DueTask {
  readonly #deps: DueTaskDependencies

  constructor(deps: DueTaskDependencies) {
    this.#deps = deps
  }

  /**
   * Writes down what is to be done, and returns the doing of it; undefined where there is nothing. What goes wrong in the
   * database rejects.
   */
  async begin(row: ScheduledRow): Promise<(() => Promise<void>) | undefined> {
    if (row.endStatus && !row.run) return () => this.#end(row)
    const run = row.run ?? this.#runOf(row)
    const begun = row.run ? row : await this.#deps.tasks.begin({ ...row, watcher: this.#deps.watcher }, run)
    return begun && (() => this.#handOver(begun, run))
  }

  async #handOver(row: ScheduledRow, run: Run): Promise<void> {
    const { tracing } = this.#deps
    const span = tracing && runSpan(tracing, row, run)
    const brought = await this.#bring(row, run, span ? span.traceparent : contextOfRun(row))
    span?.end(broughtAs(brought))
    if (brought.status === 'accepted') await this.#handedOver(row, run, brought.sessionId)
    else if (brought.status === 'refused') await this.#refused(row, brought)
    else await this.#postpone(row)
  }

  /** Which occurrence runs now: of several that are due, the latest, in place of all of them. */
  #runOf({ id, tenant, cron, timezone, dueAt, now, runs }: ScheduledRow): Run {
    const occurrence = runs + 1
    if (cron === null || timezone === null) return { occurrence, scheduledFor: dueAt.toISOString(), missed: 0 }
    const { at, missed } = catchUp({ cron, timezone }, dueAt, now)
    if (missed > 0)
      this.#deps.log.warn({ schedule: id, tenant, missed }, 'a repeated task makes up for missed runs with one')
    return { occurrence, scheduledFor: at.toISOString(), missed }
  }

  #bring(row: ScheduledRow, run: Run, traceparent: string | undefined): Promise<Brought> {
    const request = requestOf(row)
    if (request.kind === 'execute')
      return this.#deps.door.execute(row, request.sessionId, commandOf(row, run, traceparent))
    return this.#deps.door.spawn(row, { ...request, task: taskOf(row, run) }, runId(row, run), traceparent)
  }

  async #handedOver(row: ScheduledRow, run: Run, sessionId: string): Promise<void> {
    const after = await this.#deps.tasks.handedOver(row, run, { sessionId, nextAt: nextAfter(row, run) })
    // Its cancellation came while it was on its way.
    if (after?.cancelRequested) {
      await this.#deps.door.cancel(row, sessionId, taskIdOf(row, run), `${runId(row, run)}.cancel`)
    }
  }

  async #refused(row: ScheduledRow, { code, error }: Extract<Brought, { status: 'refused' }>): Promise<void> {
    await this.#deps.tasks.end(row, 'failed', code, error)
  }

  /** The session hears of it before the row says so; a session that is over needs not to be told. */
  async #end(row: ScheduledRow): Promise<void> {
    const { endStatus, endCode, endError } = row
    if (!endStatus) return
    const request = requestOf(row)
    if (request.kind === 'execute' && row.cron === null) {
      const brought = await this.#deps.door.execute(row, request.sessionId, endOf(row))
      if (brought.status === 'unsure') return await this.#postpone(row)
    }
    await this.#deps.tasks.end(row, endStatus, endCode, endError)
  }

  #postpone(row: ScheduledRow): Promise<void> {
    const pauseMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(row.failures, 10), RETRY_MAX_MS)
    return this.#deps.tasks.postpone({ ...row, watcher: this.#deps.watcher }, pauseMs)
  }
}

/** When a repeated task runs next, counted from the run that was due; null when it was the last. */
function nextAfter({ cron, timezone, maxRuns, until }: ScheduledRow, run: Run): Date | null {
  if (cron === null || timezone === null) return null
  if (maxRuns !== null && run.occurrence >= maxRuns) return null
  const next = nextRun({ cron, timezone }, new Date(run.scheduledFor))
  return next === undefined || (until !== null && next > until) ? null : next
}
