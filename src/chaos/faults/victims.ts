/**
 * Whom a fault hits: nodes that have work in flight.
 */
import type { ChaosNode } from '../nodes.js'
import type { RandomInteger } from '../seeded-random.js'
import type { Stage } from './fault.js'

/** A worker that has accepted commands which have not ended; any worker when none has. */
export async function busyWorker({ nodes, stores, load, random }: Stage): Promise<ChaosNode> {
  const [owners, { inFlightShards }] = await Promise.all([stores.owners(), load.status()])
  const busy = new Set(Object.keys(inFlightShards).map((shard) => owners.get(Number(shard))))
  const running = nodes.running('worker')
  const candidates = running.filter(({ process }) => busy.has(process.node))
  return pick(candidates.length > 0 ? candidates : running, random)
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
