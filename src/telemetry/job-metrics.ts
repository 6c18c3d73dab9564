/**
 * What becomes of background jobs.
 */
import { Counter, Histogram, type Registry } from 'prom-client'

export type JobOutcome = 'done' | 'failed' | 'refused'

export interface JobMetrics {
  /** One try has ended after so long; `refused`: it belonged to a leader that leads no more. */
  ended(job: string, outcome: JobOutcome, seconds: number): void
}

/** From a word to the leader to a night's cleaning. */
const BUCKETS_S = [0.01, 0.1, 0.5, 1, 5, 30, 120, 600]

/** The label is not `job`: that is the one by which Prometheus names what it scrapes. */
export function jobMetrics(registry: Registry): JobMetrics {
  const ended = new Counter({
    name: 'orchestrator_jobs_total',
    help: 'Tries of background jobs by outcome',
    labelNames: ['job_name', 'outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'orchestrator_job_seconds',
    help: 'How long tries of background jobs took',
    labelNames: ['job_name'],
    buckets: BUCKETS_S,
    registers: [registry],
  })
  return {
    ended: (job_name, outcome, seconds) => {
      ended.inc({ job_name, outcome })
      durations.observe({ job_name }, seconds)
    },
  }
}
