/**
 * kill -9 of a worker while it streams, and what must follow from it.
 */

import type { RandomInteger } from '../../src/chaos/seeded-random.js'
import type { NodeId } from '../../src/protocol/ids.js'
import { nodeName } from '../../src/protocol/ids.js'
import type { ClusterNodes } from './cluster-nodes.js'
import type { CountingSession } from './counting-session.js'
import type { Stores } from './stores.js'

export interface Kill {
  readonly node: NodeId
  readonly name: string
  readonly pid: number
  readonly atMs: number
  /** Whose turn was running there. */
  readonly interrupted: readonly CountingSession[]
}

/** Kills the worker of one of the streaming sessions. Undefined when none is streaming. */
export async function killOneWorker(
  sessions: readonly CountingSession[],
  nodes: ClusterNodes,
  stores: Stores,
  random: RandomInteger,
): Promise<Kill | undefined> {
  const owners = await stores.owners()
  const streaming = sessions.filter((session) => !session.finished && session.counted > 0)
  const victim = streaming[random(0, streaming.length - 1)]
  if (!victim) return undefined
  const worker = nodes.worker(owners.get(victim.shard) ?? '')
  const { node, name, pid } = worker
  const interrupted = streaming.filter((session) => owners.get(session.shard) === node)
  await worker.crash()
  return { node, name, pid, atMs: performance.now(), interrupted: interrupted.filter((session) => !session.finished) }
}

/** Faults of the takeover: every interrupted session was taken from the dead worker by a living one. */
export function takeoverFaults(kill: Kill): string[] {
  const faults = kill.interrupted.flatMap(({ label, record }) => {
    const takeover = record.takeovers.find(({ fromWorker }) => fromWorker === kill.node)
    if (!takeover) return [`session ${label}: nobody took it over from ${kill.name}`]
    return takeover.worker === kill.node
      ? [`session ${label}: ${nodeName(takeover.worker)} took it over from itself`]
      : []
  })
  return kill.interrupted.length === 0 ? [`${kill.name} had no session when it was killed`] : faults
}
