/**
 * Fits storage and the node's own door to what the federation asks for.
 */
import type { Config } from '../config/load.js'
import { Federation } from '../federation/federation.js'
import type { NodeId } from '../protocol/ids.js'
import type { Database } from '../storage/database.js'
import { Delegations } from '../storage/delegations.js'
import { FederationContext } from '../storage/federation-context.js'
import { FederationInbox } from '../storage/federation-inbox.js'
import { FederationOrchestrators } from '../storage/federation-orchestrators.js'
import { TaskEnds } from '../storage/task-ends.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/tracing.js'
import { DelegatedTasks } from './delegated-tasks.js'
import type { Entrance, Inside } from './in-process-socket.js'

export interface FederationFitting<I extends Inside> {
  readonly config: Config
  readonly node: NodeId
  readonly log: Log
  readonly database: Database
  readonly metrics: Metrics
  readonly tracing: Tracing | undefined
  /** Asked once the door is open. */
  readonly entrance: () => Entrance<I>
}

/** Undefined where the settings keep this node out of the federation. */
export function federationOf<I extends Inside>(fitting: FederationFitting<I>): Federation | undefined {
  const { config, node, log, database, metrics, tracing, entrance } = fitting
  if (!config.cluster.federationEnabled) return undefined
  return new Federation({
    id: node,
    orchestrators: new FederationOrchestrators(database),
    delegations: new Delegations(database),
    context: new FederationContext(database),
    inbox: new FederationInbox(database),
    runner: new DelegatedTasks({ entrance, ends: new TaskEnds(database) }),
    metrics: metrics.federation,
    tracing,
    log,
  })
}
