/**
 * A worker as a process of its own, whose turns are held at one position until it is killed. Its orders are its only
 * argument; it says which sessions are there, and that it is ready.
 */
import type { NodeId } from '../../../src/protocol/ids.js'
import { openDatabase } from '../../../src/storage/database.js'
import { openRedisPlane } from '../redis-plane.js'
import { testWorker } from '../test-worker.js'
import { type CallingRuntimeOptions, callingRuntime } from './calling-runtime.js'
import { holdingBus, type Position } from './positions.js'

export interface WorkerOrders extends CallingRuntimeOptions {
  readonly id: NodeId
  readonly redisUrl: string
  readonly cluster: string
  readonly databaseUrl: string
  readonly root: string
  readonly position: Position
}

export type WorkerWord = { readonly ready: true } | { readonly reached: string }

const tell = (word: WorkerWord) => process.send?.(word)

async function run(orders: WorkerOrders): Promise<void> {
  const { id, redisUrl, cluster, databaseUrl: url, root, position } = orders
  const plane = await openRedisPlane(redisUrl, cluster)
  const database = await openDatabase({ kind: 'postgres', url, poolSize: 4, connectTimeoutMs: 5_000 })
  const { runtime } = await callingRuntime(orders)
  const bus = holdingBus(await plane.openBus(), position, (reached) => tell({ reached }))
  const control = plane.openControl(id)
  const parts = { id, bus, control, database, root, mayStartEffects: () => true, runtimeOf: () => runtime }
  await testWorker(parts).start()
  tell({ ready: true })
}

// Whoever started us has gone, without a word.
process.on('disconnect', () => process.exit(1))
const [, , orders] = process.argv
if (orders) await run({ ...(JSON.parse(orders) as WorkerOrders) })
