/**
 * What only some doors of an edge read, opened: the sources of HTTP and of the second protocol.
 */
import type { BudgetDesk } from '../budget/budget-desk.js'
import type { HttpSources } from '../edge/http/sources.js'
import type { SettingsSource, V2Sources } from '../edge/v2/sources.js'
import type { NeolithView } from '../neolith/view.js'
import { openBudgets, openPrices } from './budget-parts.js'
import { httpSources } from './http-parts.js'
import type { NodeParts } from './node-parts.js'
import { v2Sources } from './v2-parts.js'

export interface HttpSourceOptions {
  /** Those of the worker in this process; undefined where no sessions run. */
  readonly budgets: BudgetDesk | undefined
  /** Undefined where this node is connected to none. */
  readonly neolith: NeolithView | undefined
}

export async function openHttpSources(parts: NodeParts, { budgets, neolith }: HttpSourceOptions): Promise<HttpSources> {
  const { database, view, cluster } = parts.planes
  const { memory } = await parts.memory()
  const inForce = await parts.charter()
  return httpSources({
    ...{ database, memory, shardLoads: cluster?.shardLoads, neolith, node: parts.foundation.node },
    budgets: budgets ?? (await openBudgetDesk(parts)),
    charter: () => inForce.charter,
    nodes: () => view.nodes(),
  })
}

/** Where no sessions run: only to be looked at. */
async function openBudgetDesk(parts: NodeParts): Promise<BudgetDesk> {
  const { foundation, metrics } = parts
  const { database, view, control } = parts.planes
  const { desk } = await openBudgets(foundation, {
    ...{ database, view, control, prices: openPrices(foundation), charter: await parts.charter() },
    ...{ metrics: metrics.budgets, tell: () => undefined },
  })
  return desk
}

export async function openV2Sources(parts: NodeParts, settings: SettingsSource): Promise<V2Sources> {
  const { memory } = await parts.memory()
  return v2Sources({ database: parts.planes.database, memory, settings })
}
