/**
 * Background jobs on timers of this process, where there is no Redis to keep a schedule.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Leadership } from '../../storage/leader.js'
import { ATTEMPTS, attempt, FIRST_RETRY_MS, type Job, type Jobs, type JobsOptions, YIELD_TIMEOUT_MS } from '../jobs.js'

/** A process that starts has better things to do first. */
const FIRST_PAUSE_MS = 30_000

export class TimerJobs implements Jobs {
  #ending = new AbortController()
  #running: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: JobsOptions) {}

  async lead(term: Leadership): Promise<void> {
    await this.yield()
    const ending = new AbortController()
    this.#ending = ending
    this.#running = Promise.all(this.options.jobs.map((job) => this.#repeat(job, term, ending.signal)))
  }

  async yield(): Promise<void> {
    this.#ending.abort()
    await Promise.race([this.#running, sleep(YIELD_TIMEOUT_MS, undefined, { ref: false })])
  }

  async #repeat(job: Job, term: Leadership, signal: AbortSignal): Promise<void> {
    await pause(Math.min(job.everyMs, FIRST_PAUSE_MS), signal)
    while (!signal.aborted) {
      if (!(await this.#run(job, term, signal))) return
      await pause(job.everyMs, signal)
    }
  }

  /** False when the term is over. */
  async #run(job: Job, term: Leadership, signal: AbortSignal): Promise<boolean> {
    const firstRetryMs = this.options.firstRetryMs ?? FIRST_RETRY_MS
    for (let tries = 1; tries <= ATTEMPTS && !signal.aborted; tries++) {
      try {
        return await attempt(job, term, signal, this.options)
      } catch {
        // Logged and counted where it was tried.
        if (tries < ATTEMPTS) await pause(firstRetryMs * 2 ** (tries - 1), signal)
      }
    }
    return true
  }
}

/** Ends early when aborted. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)
