/**
 * The coordinator of a process that may lead a cluster, and the background jobs of whoever leads.
 */
import { Coordinator } from '../coordinator/coordinator.js'
import type { HibernateJob } from '../coordinator/jobs/hibernate.js'
import { ClusterRequests } from '../storage/cluster-requests.js'
import { LeaderLease } from '../storage/leader.js'
import { Nodes } from '../storage/nodes.js'
import { ShardAssignments } from '../storage/shard-assignments.js'
import { clusterJobs, soloJobs } from './background-jobs.js'
import type { NodeParts } from './node-parts.js'
import type { ClusterPlane } from './planes.js'

/** Resolves with the job that waits for the workers' answers. */
export async function startCoordinator(parts: NodeParts, cluster: ClusterPlane): Promise<HibernateJob> {
  const { foundation, planes, metrics } = parts
  const { node, log, lifecycle, config } = foundation
  const { database, view, control, shardCount } = planes
  const requestRound = () => coordinator.requestRound()
  const memory = (await parts.memory()).jobs()
  const jobs = await clusterJobs(foundation, {
    ...{ database, control, view, metrics: metrics.jobs, requestRound, memory },
  })
  lifecycle.started('background jobs', () => jobs.led.stop())
  const coordinator = new Coordinator({
    id: node,
    shardCount,
    leader: new LeaderLease(database),
    nodes: new Nodes(database),
    assignments: new ShardAssignments(database),
    ...cluster,
    requests: new ClusterRequests(database),
    onTerm: (term) => jobs.led.follow(term),
    control,
    metrics: metrics.cluster,
    log,
    clock: () => performance.now(),
    migrationTimeoutMs: config.cluster.migrationTimeoutMs,
  })
  await coordinator.start()
  lifecycle.started('coordinator', () => coordinator.stop())
  return jobs.hibernate
}

/** The jobs alone, where there is no cluster to lead. */
export async function startJobs(parts: NodeParts): Promise<void> {
  const { foundation, planes, metrics } = parts
  const memory = (await parts.memory()).jobs()
  const led = await soloJobs(foundation, planes.database, metrics.jobs, memory)
  foundation.lifecycle.started('background jobs', () => led.stop())
}
