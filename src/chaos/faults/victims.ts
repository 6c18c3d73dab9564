/**
 * Whom a fault hits: nodes that have work in flight.
 */
import type { ChaosNode } from '../nodes.js'
import type { RandomInteger } from '../seeded-random.js'
import type { Stage } from './fault.js'

/** A worker that has accepted commands which have not ended. */
export async function busyWorker({ nodes, stores, load, random }: Stage): Promise<ChaosNode> {
  const [owners, { inFlightShards }] = await Promise.all([stores.owners(), load.status()])
  const work = new Map<string, number>()
  for (const [shard, commands] of Object.entries(inFlightShards)) {
    const owner = owners.get(Number(shard)) ?? ''
    work.set(owner, (work.get(owner) ?? 0) + commands)
  }
  return pick(
    busiest(nodes.running('worker'), ({ process }) => work.get(process.node) ?? 0),
    random,
  )
}

/** An edge whose clients wait for the end of commands. */
export async function busyEdge({ nodes, load, random }: Stage): Promise<ChaosNode> {
  const { inFlightEdges } = await load.status()
  return pick(
    busiest(nodes.running('edge'), ({ process }) => inFlightEdges[process.url] ?? 0),
    random,
  )
}

/**
 * Those with at least half as much work as the one that has most: what was in flight when we asked may have ended when the
 * harm is done, but not all of it. All of them when nobody has any.
 */
export function busiest<T>(items: readonly T[], workOf: (item: T) => number): T[] {
  const most = Math.max(...items.map(workOf))
  return items.filter((item) => workOf(item) >= most / 2)
}

export async function leaderOf({ nodes, stores }: Stage): Promise<ChaosNode | undefined> {
  const id = await stores.leader()
  return id === undefined ? undefined : nodes.byId(id)
}

/** @throws RangeError when there is nothing to pick from. */
export function pick<T>(items: readonly T[], random: RandomInteger): T {
  const item = items[random(0, items.length - 1)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}
