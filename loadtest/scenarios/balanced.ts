/**
 * The cluster of the scenarios that k6 drives: several edges behind a load balancer, several workers.
 */
import { NO_BALANCER } from '../cluster/balancer.js'
import type { ClusterSize, LoadCluster } from '../cluster/cluster.js'
import { type K6Runner, NO_K6 } from '../k6/runner.js'

export const BALANCED: ClusterSize = { edges: 2, workers: 2, balanced: true }

/** What this machine lacks, which the figures must not hide. */
export const wayNotes = ({ balancer }: LoadCluster, { name }: K6Runner): string[] => [
  ...(balancer === undefined ? [NO_BALANCER] : []),
  ...(name === 'k6' ? [] : [NO_K6]),
]
