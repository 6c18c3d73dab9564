/**
 * What the leading coordinator sees of the cluster. A coordinator that does not lead says so, and shows nothing else: the
 * picture of the cluster has one source at a time.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface ClusterSight {
  /** Role of each node that is alive. */
  readonly roles: readonly string[]
  /** Shards that wait for a worker which may take them. */
  readonly stranded: number
  /** Nothing is moved now: most nodes are silent, or Redis was another a moment ago. */
  readonly frozen: boolean
}

export interface ClusterMetrics {
  /** A round of the leader has ended with this; undefined: this coordinator does not lead. */
  seen(sight: ClusterSight | undefined): void
  /** A node was declared dead. */
  died(): void
}

export function clusterMetrics(registry: Registry): ClusterMetrics {
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers })
  const leads = gauge('orchestrator_leads', '1 on the coordinator that leads')
  const nodes = gauge('orchestrator_cluster_nodes', 'Nodes alive, as the leader sees them', ['role'])
  const stranded = gauge('orchestrator_shards_stranded', 'Shards that no worker may take, as the leader sees them')
  const frozen = gauge(
    'orchestrator_reassignment_frozen',
    '1 while the leader moves nothing, because too much fell silent',
  )
  const deaths = new Counter({
    name: 'orchestrator_nodes_lost_total',
    help: 'Nodes that this coordinator declared dead',
    registers,
  })
  return {
    seen: (sight) => {
      leads.set(sight ? 1 : 0)
      stranded.set(sight?.stranded ?? 0)
      frozen.set(sight?.frozen ? 1 : 0)
      nodes.reset()
      for (const role of sight?.roles ?? []) nodes.inc({ role })
    },
    died: () => deaths.inc(),
  }
}
