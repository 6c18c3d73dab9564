/**
 * How measured load moves shards between real workers' rows: on a join, on request, and no further.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { ShardLoadReport } from '../../../src/cluster/cluster.js'
import { RedisShardLoads } from '../../../src/cluster/shard-loads.js'
import { Coordinator } from '../../../src/coordinator/coordinator.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { shardLoadsKey } from '../../../src/redis/keys.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { seededRandom } from '../../support/random.js'
import { openPlane, type Plane } from './plane.js'
import { TestWorker } from './test-worker.js'

const SHARDS = 64
/** Several rounds, with their time to settle between them. */
const WAIT = { timeout: 70_000, interval: 100 }
const TIMEOUT_MS = 150_000

async function coordinate(plane: Plane): Promise<Coordinator> {
  const id = newNodeId('coordinator')
  const { leader, nodes, assignments, beats, primary, shardLoads, requests, log } = plane
  const clock = () => performance.now()
  const control = plane.channel(id)
  const parts = {
    leader,
    nodes,
    assignments,
    beats,
    primary,
    shardLoads,
    requests,
    control,
    metrics: createMetrics().cluster,
    log,
    clock,
    migrationTimeoutMs: 5_000,
  }
  const coordinator = new Coordinator({ id, shardCount: SHARDS, ...parts })
  onTestFinished(() => coordinator.stop())
  await coordinator.start()
  return coordinator
}

async function loadsOf(plane: Plane, workers: readonly TestWorker[]): Promise<number[]> {
  const loads = workers.map(async ({ id, load }) => {
    const owned = await plane.assignments.ownedBy(id)
    return owned.reduce((sum, { shard }) => sum + (load.get(shard) ?? 0), 0)
  })
  return await Promise.all(loads)
}

const spreadOf = (loads: readonly number[]): number =>
  (Math.max(...loads) - Math.min(...loads)) / (loads.reduce((sum, it) => sum + it, 0) / loads.length)

test(
  'two workers that join two busy ones get their part of a skewed load, within the bounds on numbers',
  async () => {
    const random = seededRandom('skewed join')
    const load = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, shard < 8 ? random.integer(10, 14) : 1]))
    const plane = await openPlane()
    await coordinate(plane)
    const start = async (name: string) => {
      const worker = new TestWorker(plane, name)
      worker.load = load
      return await worker.start()
    }
    const before = await Promise.all(['a', 'b'].map(start))
    // Of eight heavy shards two workers may have five and three: moving one would make it no more even.
    await vi.waitFor(async () => expect(spreadOf(await loadsOf(plane, before))).toBeLessThanOrEqual(0.5), WAIT)

    const workers = [...before, ...(await Promise.all(['c', 'd'].map(start)))]

    await vi.waitFor(async () => {
      expect(spreadOf(await loadsOf(plane, workers))).toBeLessThanOrEqual(0.3)
      expect((await plane.assignments.list()).every(({ state }) => state === 'assigned')).toBe(true)
    }, WAIT)
    console.info('loads after the join:', await loadsOf(plane, workers))
    const counts = await Promise.all(workers.map((worker) => worker.shards()))
    expect(Math.max(...counts)).toBeLessThanOrEqual(18)
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(14)
  },
  TIMEOUT_MS,
)

test(
  'a load that becomes uneven is spread when somebody asks for a look, and moves nothing before',
  async () => {
    const plane = await openPlane()
    const coordinator = await coordinate(plane)
    const workers = await Promise.all(['a', 'b'].map((name) => new TestWorker(plane, name).start()))
    const [a] = workers
    if (!a) throw new Error('no worker')
    await vi.waitFor(async () => {
      for (const worker of workers) expect(await worker.shards()).toBeGreaterThanOrEqual(28)
      expect((await plane.assignments.list()).every(({ state }) => state === 'assigned')).toBe(true)
    }, WAIT)
    const load = new Map((await plane.assignments.ownedBy(a.id)).map(({ shard }) => [shard, 3]))
    for (const worker of workers) worker.load = load
    await vi.waitFor(async () => expect((await plane.shardLoads.read(ids(workers))).size).toBe(2), WAIT)
    const epochs = async () => (await plane.assignments.list()).map(({ epoch }) => epoch)
    const untouched = await epochs()

    await vi.waitFor(() => expect(a.answer).toBe('ok'), WAIT)
    expect(await epochs()).toEqual(untouched)
    coordinator.requestRound()

    await vi.waitFor(async () => expect(spreadOf(await loadsOf(plane, workers))).toBeLessThanOrEqual(0.3), WAIT)
  },
  TIMEOUT_MS,
)

const ids = (workers: readonly TestWorker[]) => new Set(workers.map(({ id }) => id))

test('reports come back as they were given, and those of nodes that are gone are removed', async () => {
  const plane = await openPlane()
  const loads = new RedisShardLoads(plane.redis, plane.cluster)
  const report: ShardLoadReport = {
    hot: [{ shard: 7, running: 2, queued: 5, perSecond: 12.5 }],
    rest: { shard: -1, running: 3, queued: 0, perSecond: 0.25 },
  }

  await loads.publish('a@1', report)
  await loads.publish('gone@1', report)
  await plane.redis.hset(shardLoadsKey(plane.cluster), 'other-version@1', '{"by":"another version"}')

  expect(await loads.read(new Set(['a@1', 'other-version@1']))).toEqual(new Map([['a@1', report]]))
  await vi.waitFor(
    async () => expect([...(await loads.read(new Set(['a@1', 'gone@1']))).keys()]).toEqual(['a@1']),
    WAIT,
  )
  expect(await plane.redis.pttl(shardLoadsKey(plane.cluster))).toBeGreaterThan(0)
})
