/**
 * Fits background jobs to what is configured: on BullMQ with the leader of a cluster, on timers in one process.
 */
import type { ClusterView, ControlChannel } from '../cluster/cluster.js'
import { HibernateJob } from '../coordinator/jobs/hibernate.js'
import { LeaderJobs } from '../coordinator/jobs/leader-jobs.js'
import { rebalanceJob } from '../coordinator/jobs/rebalance.js'
import { retentionJob } from '../coordinator/jobs/retention.js'
import { rollupJob } from '../coordinator/jobs/rollup.js'
import type { Job, JobsOptions } from '../coordinator/jobs.js'
import { connectPatient, disconnect } from '../redis/connect.js'
import { jobsPrefix } from '../redis/keys.js'
import { BudgetLedger } from '../storage/budget-ledger.js'
import type { Database } from '../storage/database.js'
import { LeaderLease, type Leadership } from '../storage/leader.js'
import { Retention } from '../storage/retention.js'
import { Usage } from '../storage/usage.js'
import { Workspaces } from '../storage/workspaces.js'
import type { JobMetrics } from '../telemetry/metrics.js'
import { type Foundation, redisConfig } from './planes.js'

const MS_PER_DAY = 86_400_000

export interface ClusterJobsParts {
  readonly database: Database
  readonly control: Pick<ControlChannel, 'send'>
  readonly view: Pick<ClusterView, 'nodes'>
  readonly metrics: JobMetrics
  readonly requestRound: () => void
  /** What is done to memory. */
  readonly memory: readonly Job[]
}

export interface ClusterJobs {
  readonly led: LeaderJobs
  readonly hibernate: HibernateJob
}

/** Loads BullMQ, which only those who may lead need. */
export async function clusterJobs(foundation: Foundation, parts: ClusterJobsParts): Promise<ClusterJobs> {
  const { config, node, log } = foundation
  const { database, control, view, metrics, requestRound, memory } = parts
  const { BullJobs } = await import('../coordinator/jobs/bull-jobs.js')
  const workers = () => view.nodes().flatMap(({ id, role }) => (role === 'worker' || role === 'all' ? [id] : []))
  const hibernate = new HibernateJob({ id: node, control, workers })
  const rebalance = rebalanceJob(config.cluster.rebalanceIntervalMs, requestRound)
  const leader = new LeaderLease(database)
  const onError = (err: Error) => log.warn({ err }, 'Redis connection failed; connecting again')
  const jobs = new BullJobs({
    ...options(foundation, metrics, [rebalance, hibernate, ...keeping(foundation, database), ...memory]),
    isCurrent: async ({ holder, term }) => {
      const current = await leader.current()
      return current?.holder === holder && current.term === term
    },
    prefix: jobsPrefix(config.cluster.name),
    connect: () => connectPatient(redisConfig(config), onError),
    disconnect,
  })
  return { led: new LeaderJobs(jobs, log), hibernate }
}

/** In one process nobody else could lead. */
export async function soloJobs(
  foundation: Foundation,
  database: Database,
  metrics: JobMetrics,
  memory: readonly Job[],
): Promise<LeaderJobs> {
  const { TimerJobs } = await import('../coordinator/jobs/timer-jobs.js')
  const alone: Leadership = { holder: foundation.node, term: 0 }
  const jobs = new TimerJobs({
    ...options(foundation, metrics, [...keeping(foundation, database), ...memory]),
    isCurrent: async () => true,
  })
  const led = new LeaderJobs(jobs, foundation.log)
  led.follow(alone)
  return led
}

const options = ({ log }: Foundation, metrics: JobMetrics, jobs: readonly Job[]): Omit<JobsOptions, 'isCurrent'> => ({
  jobs,
  metrics,
  log,
})

/** What is done to the database, wherever it is. */
function keeping({ config }: Foundation, database: Database): Job[] {
  const { retentionDays, auditRetentionDays } = config.database
  const ageOf = (days: number) => (days === 0 ? undefined : days * MS_PER_DAY)
  const ages = { olderThanMs: ageOf(retentionDays), auditOlderThanMs: ageOf(auditRetentionDays) }
  const [retention, workspaces] = [new Retention(database), new Workspaces(database)]
  const parts = { retention, workspaces, ledger: new BudgetLedger(database), ...ages }
  return [retentionJob(parts), rollupJob(new Usage(database))]
}
