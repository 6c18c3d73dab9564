/**
 * A command that kills every worker which runs it, and a vendor whose answers break off or stall.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosNode } from '../nodes.js'
import type { Fault } from './fault.js'

const CUTS = 10
const STALLS = 4
/** Until the answers that were to break off have been asked for. */
const CUT_MS = 4_000

export const poison: Fault = {
  test: 'T12',
  title: 'a command that kills its workers, until it is set aside',
  needs: {},
  weight: 1,
  async run({ begin, load, nodes, provider, restart }) {
    const mark = await begin({ kind: 'poison' })
    const restarts: Promise<void>[] = []
    const kill = async (node: ChaosNode): Promise<void> => {
      await node.process.crash()
      await restart(node)
    }
    provider.onPoison = (id) => {
      const node = id === undefined ? undefined : nodes.byId(id)
      if (node?.process.running) restarts.push(kill(node))
    }
    await load.special({ kind: 'poison' })
    await Promise.all(restarts)
    mark.healed()
  },
}

export const modelCut: Fault = {
  test: 'T12',
  title: 'model streams that break off or stall',
  needs: {},
  weight: 1,
  async run({ begin, provider }) {
    const mark = await begin({ kind: 'model-cut' })
    provider.cutNext(CUTS)
    provider.stallNext(STALLS)
    await sleep(CUT_MS)
    mark.healed()
  },
}
