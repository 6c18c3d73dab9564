/**
 * What `daemon_status` tells of the cluster as this edge sees it: figures from the database, and each part asked now.
 */
import type { Bus } from '../bus/bus.js'
import type { ClusterView } from '../cluster/cluster.js'
import type { Config } from '../config/load.js'
import type { StatusSource } from '../edge/dependencies.js'
import type { DaemonStatus, Subsystem } from '../protocol/replies.js'
import type { Database } from '../storage/database.js'
import { LeaderLease } from '../storage/leader.js'
import { clusterTotals } from '../storage/totals.js'
import { redactText } from '../telemetry/redact.js'
import { isClustered } from './planes.js'

export interface StatusParts {
  readonly config: Config
  readonly bus: Pick<Bus, 'ping'>
  readonly database: Database
  readonly view: Pick<ClusterView, 'nodes'>
}

export function statusSource(parts: StatusParts): StatusSource {
  return { totals: () => clusterTotals(parts.database), subsystems: () => subsystems(parts) }
}

async function subsystems({ config, bus, database, view }: StatusParts): Promise<DaemonStatus['subsystems']> {
  const [busPart, databasePart, coordinator] = await Promise.all([
    reached(bus.ping()),
    reached(database.ping()),
    isClustered(config) ? leadership(database) : undefined,
  ])
  return {
    // Who hears this has asked an edge.
    edge: running(),
    bus: busPart,
    database: databasePart,
    workers: workers(view),
    ...(coordinator && { coordinator }),
    // Keys belong to workers; an edge on its own knows nothing of them.
    ...(config.server.role === 'all' && { model: model(config) }),
  }
}

const now = (): string => new Date().toISOString()
const running = (): Subsystem => ({ status: 'running', lastCheck: now() })
const failing = (status: 'degraded' | 'unreachable', error: string): Subsystem => ({
  status,
  lastCheck: now(),
  errors: [error],
})

async function reached(probe: Promise<void>): Promise<Subsystem> {
  try {
    await probe
    return running()
  } catch (error) {
    return failing('unreachable', redactText(error instanceof Error ? error.message : String(error)))
  }
}

function workers(view: Pick<ClusterView, 'nodes'>): Subsystem {
  const found = view.nodes().filter(({ role }) => role === 'worker' || role === 'all')
  if (found.length === 0) return failing('unreachable', 'no worker gives signs of life; start one with --role worker')
  if (found.every(({ status }) => status === 'draining')) return failing('degraded', 'all workers are being stopped')
  return running()
}

async function leadership(database: Database): Promise<Subsystem> {
  try {
    if (await new LeaderLease(database).current()) return running()
    return failing('unreachable', 'no coordinator leads; start one with --role coordinator')
  } catch {
    return failing('unreachable', 'the database, which knows who leads, does not answer')
  }
}

function model({ openai, anthropic }: Config): Subsystem {
  if (openai.apiKey !== undefined || anthropic.apiKey !== undefined) return running()
  return failing('degraded', 'no model can be called: set OPENAI_API_KEY or ANTHROPIC_API_KEY')
}
