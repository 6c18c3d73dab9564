/**
 * The network between one node and one store fails: packets are lost, held in one direction, or connections are refused.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosNode } from '../nodes.js'
import type { ProxyMode } from '../proxy.js'
import { type Fault, OFTEN, type Stage } from './fault.js'
import { restartIfDead } from './freezes.js'
import { busyEdge, busyWorker, pick } from './victims.js'

const MODES: readonly ProxyMode[] = ['hold', 'hold-up', 'hold-down', 'drop', 'cut']
/** Shorter than a lease, and longer. */
const MIN_MS = 1_500
const MAX_MS = 9_000
/** From here on no beat was acknowledged in time for sure. */
const ISOLATED_MS = 2_000

export const partition: Fault = {
  test: 'T7',
  title: 'partition between a node and a store, also one-way',
  needs: { proxies: true },
  weight: OFTEN,
  needsWork: true,
  async run(stage) {
    const { random } = stage
    // Mostly a worker: that is where it hurts.
    const node = random(1, 4) > 1 ? await busyWorker(stage) : await busyEdge(stage)
    const store = random(1, 4) > 1 ? 'redis' : 'postgres'
    await separate(stage, node, store, pick(MODES, random), random(MIN_MS, MAX_MS))
  },
}

async function separate(
  stage: Stage,
  node: ChaosNode,
  store: 'redis' | 'postgres',
  mode: ProxyMode,
  ms: number,
): Promise<void> {
  const path = node.paths?.[store]
  if (!path) throw new Error(`${node.name} has no proxy to ${store}`)
  const isolated = store === 'redis' && node.role === 'worker' && ms >= ISOLATED_MS
  const mark = await stage.begin({ kind: 'partition', node, ...(isolated && { isolated: true }) })
  path.mode = mode
  await sleep(ms)
  path.mode = 'pass'
  mark.healed()
  await restartIfDead(stage, node)
}
