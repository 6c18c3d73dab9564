/**
 * The peak: every connection has one request under way, always.
 */
import { type ClusterSize, type LoadCluster, type LoadService, startCluster } from '../cluster/cluster.js'
import type { Plan } from '../generator/plan.js'
import { type LoadFigures, measureCluster } from '../measure/load-figures.js'
import { loadTable } from '../measure/tables.js'
import { type Outcome, type Stage, sizeOf } from './scenario.js'

/** Until the compilers of all processes have seen the hot path often enough. */
const WARMUP_SECONDS = 10
const PEAK = { connections: 200, seconds: 15 }

export async function peak(stage: Stage): Promise<Outcome> {
  const { connections = PEAK.connections, seconds = PEAK.seconds } = stage.options
  const cluster = await ready(stage)
  const plan = planFor(cluster, connections, seconds)
  const runs = await repeated(stage, cluster, plan)
  return outcome(`Closed loop, ${connections} connections with an echo session each, ${seconds} s`, cluster, runs)
}

/** What is under load, in words. */
export function nodesOf({ edges, workers, balancer }: LoadCluster): string {
  const way = balancer === undefined ? '' : 'HAProxy, '
  return `${way}${counted(edges.length, 'edge')}, ${counted(workers.length, 'worker')}, 1 coordinator, Redis, PostgreSQL`
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** @throws Error when the cluster that the options describe does not become ready. */
export async function ready(
  stage: Stage,
  usual?: ClusterSize,
  env: Readonly<Record<string, string>> = {},
): Promise<LoadCluster> {
  const size = sizeOf(stage.options, usual)
  const startedAt = performance.now()
  const cluster = await startCluster(stage.teardown, size, env)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  stage.say(`${nodesOf(cluster)}: ready after ${seconds} s.`)
  return cluster
}

export const planFor = ({ targets, tokens }: LoadService, connections: number, seconds: number): Plan => ({
  ...{ targets, tokens, connections, seconds, dialect: 'service', warmupSeconds: WARMUP_SECONDS },
})

/** As many runs as the options ask for, one after the other on the same cluster. */
async function repeated(stage: Stage, cluster: LoadCluster, plan: Plan): Promise<LoadFigures[]> {
  const runs: LoadFigures[] = []
  let events = 0
  for (let run = 1; run <= stage.options.repeat; run++) {
    const figures = await measureCluster(cluster, plan, events)
    events += figures.report.events
    runs.push(figures)
    const { roundTripsPerSecond, latency } = figures.report
    stage.say(`run ${run}: ${roundTripsPerSecond} round trips/s, p50 ${latency.p50} ms, p99 ${latency.p99} ms`)
  }
  return runs
}

/** What every load on a cluster reports. */
export function outcome(summary: string, cluster: LoadCluster, runs: readonly LoadFigures[]): Outcome {
  return {
    summary: `${summary}; ${nodesOf(cluster)}, all durable.`,
    versions: cluster.stores.versions,
    tables: [loadTable(runs)],
    notes: [],
    figures: runs,
    faults: runs.flatMap((run) => run.faults),
  }
}
