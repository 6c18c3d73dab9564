/**
 * Sees to scheduled tasks: looks whether what they wait for has ended, and hands over those whose time has come. Any number
 * of nodes do so; a lease on the row says who moves it on, and runs out by the database's clock when that one dies.
 *
 *   waiting ─ dependencies settled ─▶ due ─ claimed ─▶ run written down ─ handed over ─▶ released, or waiting for the next run
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LeaseRounds } from '../storage/lease-rounds.js'
import type { ScheduledRow, ScheduledTasks } from '../storage/scheduled-tasks.js'
import type { Settled, TaskDependencies } from '../storage/task-dependencies.js'
import { DueTask, type DueTaskDependencies, type SchedulerLog } from './due-task.js'

/** Between looks at what is due: the longest that a task waits beyond its time, where nobody is late. */
const ROUND_MS = 500
/** Longer than a hand-over may take; how long the tasks of a node that died wait at most. */
export const LEASE_MS = 10_000
/** Tasks handed over at one time: a thousand that fall due together must not flood one edge. */
const MAX_AT_ONCE = 64
/** How long a stop waits for hand-overs; what is not done is done by another node. */
const STOP_TIMEOUT_MS = 2_000
const FORGET_EVERY_MS = 60_000

export interface SchedulerDependencies extends Omit<DueTaskDependencies, 'tasks' | 'watcher'> {
  readonly id: string
  readonly tasks: DueTaskDependencies['tasks'] & Pick<ScheduledTasks, 'claim' | 'letGo' | 'forgetOld'>
  readonly dependencies: Pick<TaskDependencies, 'settle'>
  readonly log: SchedulerLog
}

export class Scheduler {
  readonly #deps: SchedulerDependencies
  readonly #due: DueTask
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #rounds: LeaseRounds
  #loop: Promise<void> | undefined
  #forgotAt = 0

  constructor(deps: SchedulerDependencies) {
    this.#deps = deps
    this.#due = new DueTask({ ...deps, watcher: deps.id })
    this.#rounds = new LeaseRounds({
      round: () => this.#round(),
      pauseMs: ROUND_MS,
      onFailed: (err, isFirst) => {
        if (isFirst) deps.log.warn({ err }, 'scheduled tasks wait until the database answers')
      },
    })
  }

  start(): void {
    this.#loop ??= this.#rounds.run(this.#stopping.signal)
  }

  /** In bounded time; may be called twice. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    const ended = Promise.all([this.#loop, ...this.#running])
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    await this.#deps.tasks.letGo(this.#deps.id).catch((err: unknown) => {
      this.#deps.log.warn({ err }, 'scheduled tasks could not be let go of; their leases run out by themselves')
    })
  }

  /** There may be something to do at once. */
  nudge(): void {
    this.#rounds.nudge()
  }

  async #round(): Promise<void> {
    const { id, tasks, dependencies } = this.#deps
    await dependencies.settle('dependency_failed', explain)
    const room = MAX_AT_ONCE - this.#running.size
    // One after the other: urgent tasks leave first.
    for (const row of room > 0 ? await tasks.claim(id, LEASE_MS, room) : []) {
      const work = await this.#due.begin(row)
      if (work) this.#watch(row, work())
    }
    if (performance.now() - this.#forgotAt < FORGET_EVERY_MS) return
    this.#forgotAt = performance.now()
    await tasks.forgetOld()
  }

  #watch(row: ScheduledRow, work: Promise<void>): void {
    const { log } = this.#deps
    const done = work
      .catch((err: unknown) => {
        // The lease runs out, and somebody goes on from what the row says.
        log.warn({ err, schedule: row.id, tenant: row.tenant }, 'a scheduled task could not be handed over')
      })
      .finally(() => {
        this.#running.delete(done)
        this.nudge()
      })
    this.#running.add(done)
  }
}

/** The sentence of `dependency_failed`, for the row. */
const explain = ({ taskId, status }: Settled): string =>
  `The task did not run: ${taskId}, which had to be completed first, ${status === 'failed' ? 'failed' : 'was cancelled'}`
