/**
 * Sees to the open tasks of Neolith while this node reports: takes charge of their rows, carries each out, and keeps the
 * leases up. Rows of a node that died come here when their leases have run out.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LeaseRounds } from '../storage/lease-rounds.js'
import type { NeolithTaskRow, NeolithTasks } from '../storage/neolith-tasks.js'
import { TaskRun, type TaskRunDependencies } from './task-run.js'

/** Between looks at what is due. */
const ROUND_MS = 1_000
/** Several rounds, so that a slow database takes nothing away; the longest that a dead node's tasks wait. */
const LEASE_MS = 10_000
/** Between the last moment we believe in a lease and the first in which another may get it. */
const MARGIN_MS = 3_000
/** Each is one connection inside the process and one session at work elsewhere; more wait in the database. */
const MAX_RUNS = 64
/** The same for answers to tasks, which are short: a task that waits for one must not keep it out. */
const MAX_ANSWERS = 16
/** How long a stop waits for runs to end. */
const STOP_TIMEOUT_MS = 2_000
const FORGET_EVERY_MS = 60_000

export interface RelayDependencies extends Omit<TaskRunDependencies, 'tasks'> {
  readonly tasks: TaskRunDependencies['tasks'] & Pick<NeolithTasks, 'claim' | 'renew' | 'letGo' | 'forgetOld'>
  readonly warn: (error: unknown, text: string) => void
}

interface Running {
  readonly row: NeolithTaskRow
  readonly abandon: AbortController
  /** Abandons it when its lease has not been renewed: the database may not answer, and others have another way to it. */
  readonly expiry: NodeJS.Timeout
  readonly ended: Promise<void>
}

export class Relay {
  readonly #deps: RelayDependencies
  readonly #runs = new Map<string, Running>()
  /** Undefined before the first run. */
  #rounds: LeaseRounds | undefined
  #forgotAt = 0

  constructor(deps: RelayDependencies) {
    this.#deps = deps
  }

  /** Tasks that are seen to now. */
  get size(): number {
    return this.#runs.size
  }

  /** There may be something to do at once. */
  nudge(): void {
    this.#rounds?.nudge()
  }

  /** Until `signal` ends it; then lets go of everything, so that others go on at once. */
  async run(orchestrator: string, signal: AbortSignal): Promise<void> {
    this.#rounds = new LeaseRounds({
      round: () => this.#round(orchestrator),
      pauseMs: ROUND_MS,
      onFailed: (error) => this.#deps.warn(error, 'tasks of Neolith wait until the database answers'),
    })
    await this.#rounds.run(signal)
    await this.#letGo()
  }

  async #letGo(): Promise<void> {
    const { tasks, watcher, warn } = this.#deps
    for (const { abandon } of this.#runs.values()) abandon.abort()
    const ended = Promise.all([...this.#runs.values()].map((run) => run.ended))
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    await tasks.letGo(watcher).catch((error: unknown) => {
      warn(error, 'tasks of Neolith could not be let go of; their leases run out by themselves')
    })
  }

  async #round(orchestrator: string): Promise<void> {
    const { tasks, watcher } = this.#deps
    if (this.#runs.size > 0) await this.#renew()
    const answers = [...this.#runs.values()].filter(({ row }) => row.answers).length
    const room = { tasks: MAX_RUNS - (this.#runs.size - answers), answers: MAX_ANSWERS - answers }
    for (const kind of ['answers', 'tasks'] as const) {
      const due = room[kind] > 0 ? await tasks.claim(orchestrator, watcher, LEASE_MS, room[kind], kind) : []
      for (const row of due) this.#begin(row)
    }
    if (performance.now() - this.#forgotAt < FORGET_EVERY_MS) return
    this.#forgotAt = performance.now()
    await tasks.forgetOld()
  }

  async #renew(): Promise<void> {
    const { tasks, watcher } = this.#deps
    const runs = [...this.#runs]
    const rows = runs.map(([, { row }]) => row)
    const held = await tasks.renew(watcher, rows, LEASE_MS)
    for (const [messageId, { abandon, expiry }] of runs) {
      // Somebody else sees to it, or it has ended: to go on would only be work done twice.
      if (held.has(messageId)) expiry.refresh()
      else abandon.abort()
    }
  }

  #begin(row: NeolithTaskRow): void {
    const { messageId } = row
    // Its lease ran out while this process was stopped; the run is about to notice.
    this.#runs.get(messageId)?.abandon.abort()
    const abandon = new AbortController()
    const expiry = setTimeout(() => abandon.abort(), LEASE_MS - MARGIN_MS).unref()
    const ended = new TaskRun(this.#deps, row, abandon.signal)
      .carryOut()
      .catch((error: unknown) => {
        // The lease runs out, and somebody goes on from what the row says.
        this.#deps.warn(error, 'a task of Neolith could not be carried on with')
      })
      .finally(() => {
        clearTimeout(expiry)
        if (this.#runs.get(messageId)?.abandon === abandon) this.#runs.delete(messageId)
        this.nudge()
      })
    this.#runs.set(messageId, { row, abandon, expiry, ended })
  }
}
