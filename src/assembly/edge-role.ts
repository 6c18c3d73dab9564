/**
 * The edge of a process, and what brings tasks in through its door: scheduling, Neolith, the federation.
 */
import type { BudgetDesk } from '../budget/budget-desk.js'
import { Edge } from '../edge/edge.js'
import type { SettingsSource } from '../edge/v2/sources.js'
import type { Federation } from '../federation/federation.js'
import type { Pages } from '../telemetry/pages.js'
import { followCredentials } from './credentials.js'
import { clientLimits, edgeParts } from './edge-parts.js'
import { openHttpSources, openV2Sources } from './edge-sources.js'
import { federationOf } from './federation-parts.js'
import type { OpenNeolith } from './neolith-parts.js'
import type { NodeParts } from './node-parts.js'
import { schedulingOf } from './scheduling-parts.js'
import { sharedLimits } from './shared-limits.js'

export interface EdgeOptions {
  /** Shown at the port for clients; undefined where they have one of their own. */
  readonly pages: Pages | undefined
  /** Those of the worker in this process; undefined where no sessions run. */
  readonly budgets: BudgetDesk | undefined
  /** The settings of this node, for administrators. */
  readonly settings: SettingsSource
  readonly onSpawned: ((sessionId: string, tenant: string) => void) | undefined
}

export interface StartedEdge {
  readonly edge: Edge
  /** Undefined where the settings keep this node out of it. */
  readonly federation: Federation | undefined
}

export async function startEdge(parts: NodeParts, options: EdgeOptions): Promise<StartedEdge> {
  const { foundation, planes, metrics, tracing } = parts
  const { config, settings, node, log, lifecycle } = foundation
  const { database, audit, bus, view } = planes
  const { pages, budgets, onSpawned } = options
  const limits = await sharedLimits(foundation)
  const entrance = (): Edge => edge
  const shared = { node, log, database, tracing }
  const federation = federationOf({ ...shared, config, metrics, entrance })
  const scheduling = schedulingOf({ ...shared, settings: settings.view, door: entrance })
  const neolith = await connectNeolith(parts, entrance)
  const http = await openHttpSources(parts, { budgets, neolith: neolith?.view })
  const v2 = await openV2Sources(parts, options.settings)
  const edge = new Edge(
    edgeParts({
      ...{ config, node, log, database, audit, bus, view, metrics: metrics.edge, tracing, pages, onSpawned },
      ...{ sharedLimits: limits, federation, scheduling, http, v2 },
    }),
  )
  await edge.start()
  settings.onChanged((now) => edge.limitClients(clientLimits(now)))
  followCredentials(foundation, edge)
  lifecycle.started('edge', () => edge.stop())
  begin(parts, 'scheduling', scheduling)
  begin(parts, 'neolith', neolith?.reporter)
  begin(parts, 'federation', federation)
  return { edge, federation }
}

/** Undefined where the settings name none. */
async function connectNeolith(parts: NodeParts, entrance: () => Edge): Promise<OpenNeolith | undefined> {
  const { apiKey, apiSecret } = parts.foundation.config.neolith
  // The key alone fetches the charter of an organisation, and nothing more.
  if (apiKey === undefined || apiSecret === undefined) return undefined
  const { openNeolith } = await import('./neolith-parts.js')
  const { database, view } = parts.planes
  return openNeolith(parts.foundation, { apiKey, apiSecret }, { database, view, entrance, metrics: parts.metrics })
}

interface Bringer {
  start(): void
  stop(): Promise<void>
}

/** Lets what brings tasks in do so, now that the door is open. */
function begin({ foundation }: NodeParts, name: string, bringer: Bringer | undefined): void {
  if (!bringer) return
  bringer.start()
  foundation.lifecycle.started(name, () => bringer.stop())
}
