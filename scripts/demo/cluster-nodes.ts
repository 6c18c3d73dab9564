/**
 * The six processes of the cluster demo.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'
import { ServiceProcess } from '../../src/chaos/service-process.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { DEFAULT_SHARD_COUNT } from '../../src/config/schema.js'
import type { NodeId } from '../../src/protocol/ids.js'
import type { Stores } from './stores.js'

const EDGES = 2
const WORKERS = 3
/** Six processes share a server that may be small. */
const POOL_SIZE = '4'
/** The shards are dealt out within a second of the coordinator's start. */
const DEAL_TIMEOUT_MS = 30_000
const POLL_MS = 50

export interface ClusterNodes {
  readonly edges: readonly ServiceProcess[]
  readonly workers: readonly ServiceProcess[]
  /** Throws for an id that is none of ours. */
  worker(node: NodeId): ServiceProcess
}

/** Resolves when all are ready and every worker owns shards. `env` goes to every process. */
export async function startNodes(
  teardown: Teardown,
  stores: Stores,
  env: Readonly<Record<string, string>>,
): Promise<ClusterNodes> {
  const folder = temporaryFolder()
  teardown.add('the temporary folder', () => folder.remove())
  const start = (role: 'edge' | 'worker' | 'coordinator', name: string): ServiceProcess => {
    const own = join(folder.path, name)
    mkdirSync(own)
    // Each worker has files of its own, as on a machine of its own.
    const settings = { ...stores.env, ...env, DATABASE_POOL_SIZE: POOL_SIZE, WORKSPACE_ROOT: join(own, 'workspaces') }
    return new ServiceProcess({ name, role, folder: own, env: settings })
  }
  const workers = numbered(WORKERS, (n) => start('worker', `worker-${n}`))
  const edges = numbered(EDGES, (n) => start('edge', `edge-${n}`))
  teardown.add('the workers', (hurry) => stopAll(workers, hurry))
  teardown.add('the edges', (hurry) => stopAll(edges, hurry))
  await Promise.all([...workers, ...edges].map((node) => node.ready()))
  // Last, so that its first round deals all shards evenly: who joins later gets them in small planned moves.
  const coordinator = start('coordinator', 'coordinator')
  teardown.add('the coordinator', (hurry) => coordinator.stop(hurry))
  await coordinator.ready()
  await shardsDealt(stores)
  return { edges, workers, worker: (node) => workerOf(workers, node) }
}

const numbered = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1))

async function stopAll(nodes: readonly ServiceProcess[], hurry: boolean): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop(hurry)))
}

function workerOf(workers: readonly ServiceProcess[], node: NodeId): ServiceProcess {
  const worker = workers.find((each) => each.node === node)
  if (!worker) throw new Error(`the shard's owner ${node} is none of the demo's workers`)
  return worker
}

async function shardsDealt(stores: Stores): Promise<void> {
  const deadline = performance.now() + DEAL_TIMEOUT_MS
  for (;;) {
    const owners = await stores.owners()
    if (owners.size === DEFAULT_SHARD_COUNT && new Set(owners.values()).size === WORKERS) return
    if (performance.now() > deadline) throw new Error(`after ${DEAL_TIMEOUT_MS} ms ${owners.size} shards have an owner`)
    await sleep(POLL_MS)
  }
}
