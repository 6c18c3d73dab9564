/**
 * Work in the background that nobody waits for: done by the leader, again and again, repeated when it fails. Never part of
 * a failover or a hand-over, which must not wait for a queue.
 *
 *   BullMQ (a cluster)       schedules in Redis, carrying the term of the leader that entered them
 *   timers (one process)     the same promises without Redis
 */
import type { ControlLog } from '../cluster/cluster.js'
import type { Leadership } from '../storage/leader.js'
import type { JobMetrics } from '../telemetry/metrics.js'

export type JobName = 'rebalance' | 'hibernate' | 'retention' | 'rollup' | 'forget' | 'embed'

export interface Job {
  readonly name: JobName
  readonly everyMs: number
  /** Must be harmless when repeated, from the beginning or from where it broke off, and end soon when aborted. */
  run(signal: AbortSignal): Promise<void>
}

export interface Jobs {
  /** This process leads from now on: its schedules replace those of all terms before. */
  lead(term: Leadership): Promise<void>
  /** It leads no more: nothing new begins here, and what is under way ends in bounded time. May be called twice. */
  yield(): Promise<void>
}

export interface JobsOptions {
  readonly jobs: readonly Job[]
  /** Whether a term still lasts, by whoever judges it. */
  readonly isCurrent: (term: Leadership) => Promise<boolean>
  readonly metrics: JobMetrics
  readonly log: ControlLog
  /** Pause before the first repetition of what failed; it doubles with each. */
  readonly firstRetryMs?: number
}

/** Tries of one run: the next one comes with its interval anyway. */
export const ATTEMPTS = 4
export const FIRST_RETRY_MS = 1_000
/** How long a process that leads no more waits for the job under way. */
export const YIELD_TIMEOUT_MS = 5_000

/** One try of a job in a term; false when the term is over and nothing was done. @throws what the job throws. */
export async function attempt(job: Job, term: Leadership, signal: AbortSignal, options: JobsOptions): Promise<boolean> {
  const { isCurrent, metrics, log } = options
  const startedAt = performance.now()
  const ended = (outcome: 'done' | 'failed' | 'refused') =>
    metrics.ended(job.name, outcome, (performance.now() - startedAt) / 1_000)
  try {
    if (!(await isCurrent(term))) {
      ended('refused')
      return false
    }
    await job.run(signal)
    ended('done')
    return true
  } catch (error) {
    ended('failed')
    if (!signal.aborted) log.warn({ err: error, job: job.name }, 'a background job failed')
    throw error
  }
}
