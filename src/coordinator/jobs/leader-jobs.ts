/**
 * Keeps background jobs with the leader: begun when this process comes to lead, ended when it leads no more, one after the
 * other, and tried again while Redis is away. Whoever leads never waits for them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlLog } from '../../cluster/cluster.js'
import type { Leadership } from '../../storage/leader.js'
import type { Jobs } from '../jobs.js'

/** To enter the schedules, while Redis answers. */
const LEAD_TIMEOUT_MS = 10_000
const RETRY_MS = 2_000

export class LeaderJobs {
  #wanted: Leadership | undefined
  #settling: Promise<void> | undefined

  constructor(
    private readonly jobs: Jobs,
    private readonly log: ControlLog,
  ) {}

  /** The term in which this process leads, or none. Returns at once. */
  follow(term: Leadership | undefined): void {
    this.#wanted = term
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = undefined
    })
  }

  /** Bounded by what a yield may take. */
  async stop(): Promise<void> {
    this.follow(undefined)
    await this.#settling
  }

  async #settle(): Promise<void> {
    let settled: Leadership | null | undefined = null
    let failing = false
    while (settled !== this.#wanted) {
      const wanted: Leadership | undefined = this.#wanted
      try {
        await this.#become(wanted)
        settled = wanted
      } catch (error) {
        if (!failing) this.log.warn({ err: error }, 'background jobs cannot begin; trying again')
        failing = true
        await this.jobs.yield()
        // Not when the lead is lost meanwhile: there is nothing to begin then.
        if (this.#wanted) await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
  }

  async #become(wanted: Leadership | undefined): Promise<void> {
    if (!wanted) return await this.jobs.yield()
    const late = sleep(LEAD_TIMEOUT_MS, 'late' as const, { ref: false })
    if ((await Promise.race([this.jobs.lead(wanted), late])) === 'late') throw new Error('Redis does not answer')
  }
}
