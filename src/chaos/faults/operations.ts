/**
 * What operators do on a good day: a rolling update, and a cluster that shrinks and grows.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosNode } from '../nodes.js'
import type { Fault, Stage } from './fault.js'

/** The drain deadline of our nodes and what it takes to stop beside it. */
const LEAVE_TIMEOUT_MS = 40_000
const SMALL = 2
const LARGE = 8
/** Shards move for a while after somebody came. */
const SETTLE_MS = 5_000

export const rollingUpdate: Fault = {
  test: 'T13',
  title: 'a rolling update of all nodes',
  needs: {},
  weight: 1,
  async run(stage) {
    const mark = await stage.begin({ kind: 'rolling-update' })
    for (const node of stage.nodes.running()) {
      await leave(stage, node)
      await stage.restart(node)
    }
    mark.healed()
  },
}

export const scale: Fault = {
  test: 'T13',
  title: `workers ${SMALL} → ${LARGE} → ${SMALL}`,
  needs: {},
  weight: 1,
  async run(stage) {
    const { nodes } = stage
    const usual = nodes.all('worker')
    const mark = await stage.begin({ kind: 'scale' })
    await Promise.all(usual.slice(SMALL).map((node) => leave(stage, node)))
    const extra = Array.from({ length: LARGE - SMALL }, (_, n) => nodes.add('worker', `extra-${n + 1}`))
    const added = await Promise.all(extra)
    await sleep(SETTLE_MS)
    await Promise.all(added.map((node) => leave(stage, node)))
    await Promise.all(added.map((node) => nodes.remove(node)))
    await Promise.all(usual.slice(SMALL).map((node) => stage.restart(node)))
    mark.healed()
  },
}

/** SIGTERM, and exit code 0 within the deadline. */
async function leave({ complain }: Stage, { name, process }: ChaosNode): Promise<void> {
  process.signal('SIGTERM')
  const late = sleep(LEAVE_TIMEOUT_MS, 'late' as const, { ref: false })
  const code = await Promise.race([process.ended(), late])
  if (code === 'late') {
    complain(`${name} had not left ${LEAVE_TIMEOUT_MS / 1_000} s after SIGTERM`)
    await process.crash()
  } else if (code !== 0) complain(`${name} left with exit code ${code} after SIGTERM`)
}
