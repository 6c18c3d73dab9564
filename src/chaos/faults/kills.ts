/**
 * kill -9 of a worker, of an edge under its sockets, and of the coordinator that leads.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosNode } from '../nodes.js'
import { type Fault, OFTEN, type Stage } from './fault.js'
import { busyEdge, busyWorker, leaderOf } from './victims.js'

/** A supervisor starts a process again at once, or after a while: before and after it is found dead. */
const MIN_RESTART_MS = 100
const MAX_RESTART_MS = 5_000

export const workerKill: Fault = {
  test: 'T1',
  title: 'kill -9 a worker',
  needs: {},
  weight: OFTEN,
  needsWork: true,
  async run(stage) {
    const node = await busyWorker(stage)
    const mark = await stage.begin({ kind: 'worker-kill', node })
    await node.process.crash()
    await restartLater(stage, node)
    mark.healed()
  },
}

export const edgeKill: Fault = {
  test: 'T2',
  title: 'kill -9 an edge',
  needs: {},
  weight: OFTEN / 2,
  needsWork: true,
  async run(stage) {
    const node = await busyEdge(stage)
    const mark = await stage.begin({ kind: 'edge-kill', node })
    await node.process.crash()
    await restartLater(stage, node)
    mark.healed()
  },
}

/** The sockets are there in silence; what is said while the edge is away has to reach each of them elsewhere. */
export const crowdedEdgeKill: Fault = {
  test: 'T2',
  title: 'kill -9 an edge under many sockets',
  needs: {},
  weight: OFTEN / 2,
  needsWork: true,
  async run(stage) {
    const { load, sockets } = stage
    const node = await busyEdge(stage)
    await load.crowd({ step: 'gather', sockets, url: node.process.url })
    const mark = await stage.begin({ kind: 'edge-kill', variant: `${sockets} sockets`, node })
    await node.process.crash()
    await Promise.all([load.crowd({ step: 'stir' }), restartLater(stage, node)])
    mark.healed()
    await load.crowd({ step: 'leave' })
  },
}

export const leaderKill: Fault = {
  test: 'T3',
  title: 'kill -9 the leader',
  needs: {},
  weight: 1,
  async run(stage) {
    const node = await leaderOf(stage)
    if (!node) return stage.complain('no coordinator was leading when one was to be killed')
    const mark = await stage.begin({ kind: 'leader-kill', node })
    await node.process.crash()
    await restartLater(stage, node)
    mark.healed()
  },
}

async function restartLater({ restart, random }: Stage, node: ChaosNode): Promise<void> {
  await sleep(random(MIN_RESTART_MS, MAX_RESTART_MS))
  await restart(node)
}
