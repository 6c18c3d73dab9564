/**
 * SIGSTOP of a worker past its lease, and of the leader past its own, so that two lead for a moment; then SIGCONT. Who was
 * replaced meanwhile must not write a word, and ends by itself.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosNode } from '../nodes.js'
import { type Fault, OFTEN, type Stage } from './fault.js'
import { busyWorker, leaderOf } from './victims.js'

/** Beyond the 3 to 4 s after which a silent node is dead, and the 5 s of the leader's lease. */
const MIN_FREEZE_MS = 6_000
const MAX_FREEZE_MS = 9_000
/** A node that learns that it is dead ends at once. */
const END_TIMEOUT_MS = 5_000

export const workerFreeze: Fault = {
  test: 'T4',
  title: 'SIGSTOP a worker past its lease, then SIGCONT',
  needs: {},
  weight: OFTEN,
  needsWork: true,
  async run(stage) {
    await freeze(stage, await busyWorker(stage), 'worker-freeze')
  },
}

export const leaderFreeze: Fault = {
  test: 'T3',
  title: 'freeze the leader until another leads, then wake it',
  needs: {},
  weight: 1,
  async run(stage) {
    const node = await leaderOf(stage)
    if (!node) return stage.complain('no coordinator was leading when one was to be frozen')
    await freeze(stage, node, 'leader-freeze')
  },
}

async function freeze(stage: Stage, node: ChaosNode, kind: 'worker-freeze' | 'leader-freeze'): Promise<void> {
  const mark = await stage.begin({ kind, node, isolated: true })
  node.process.signal('SIGSTOP')
  await sleep(stage.random(MIN_FREEZE_MS, MAX_FREEZE_MS))
  node.process.signal('SIGCONT')
  mark.healed()
  await restartIfDead(stage, node)
}

/** A node that was declared dead must end by itself; a supervisor then starts it again. */
export async function restartIfDead({ restart, stores, complain }: Stage, node: ChaosNode): Promise<void> {
  const isDead = await declaredDead(stores, node.process.node)
  // One that ends a moment later all the same is started again with everybody else.
  if (!isDead && node.process.running) return
  const ended = await Promise.race([
    node.process.ended().then(() => true),
    sleep(END_TIMEOUT_MS, false, { ref: false }),
  ])
  if (!ended) {
    complain(`${node.name} was declared dead and went on running`)
    await node.process.crash()
  }
  if (!node.process.running) await restart(node)
}

async function declaredDead(stores: Stage['stores'], id: string): Promise<boolean> {
  const rows = await stores.query<{ status: string }>(`select status from nodes where id = '${id}'`)
  return rows[0]?.status === 'dead'
}
