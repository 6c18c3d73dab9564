/**
 * How shards find owners, and what becomes of them when workers or the leader go.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../../scripts/servers/servers.js'
import type { ControlMessage } from '../../../src/cluster/cluster.js'
import { Coordinator } from '../../../src/coordinator/coordinator.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { startNode } from './node-process.js'
import { openPlane, type Plane } from './plane.js'
import { TestWorker } from './test-worker.js'

const SHARDS = 64
const WAIT = { timeout: 20_000, interval: 20 }
/** Twice what leases and silences take, for a machine with other work; `npm run test:faults` judges the time itself. */
const SOON_MS = 15_000

async function coordinate(plane: Plane, primary = plane.primary, metrics = createMetrics()): Promise<Coordinator> {
  const id = newNodeId('coordinator')
  const { leader, nodes, assignments, beats, shardLoads, requests, log } = plane
  const control = plane.channel(id)
  const clock = () => performance.now()
  const coordinator = new Coordinator({
    id,
    shardCount: SHARDS,
    leader,
    nodes,
    assignments,
    beats,
    primary,
    shardLoads,
    requests,
    control,
    metrics: metrics.cluster,
    log,
    clock,
    migrationTimeoutMs: 10_000,
  })
  onTestFinished(() => coordinator.stop())
  await coordinator.start()
  return coordinator
}

const worker = (plane: Plane, name: string, options = {}) => new TestWorker(plane, name, options).start()

const shardsIn = (message: ControlMessage | undefined) => (message && 'shards' in message ? message.shards : [])

const owning = (node: TestWorker, shards: number) =>
  vi.waitFor(async () => expect(await node.shards()).toBe(shards), WAIT)

test('the first worker gets all shards at epoch 1 and is told to claim them', async () => {
  const plane = await openPlane()
  await coordinate(plane)

  const a = await worker(plane, 'a')

  await owning(a, SHARDS)
  await vi.waitFor(() => expect(a.heard).toHaveLength(1), WAIT)
  expect(a.heard[0]?.type).toBe('claim')
  expect(shardsIn(a.heard[0])).toContainEqual({ shard: 63, epoch: 1 })
  expect(shardsIn(a.heard[0])).toHaveLength(SHARDS)
})

test('a worker that joins gets its part, each shard only after its owner has released it', async () => {
  const plane = await openPlane()
  await coordinate(plane)
  const a = await worker(plane, 'a', { releases: false })
  await owning(a, SHARDS)

  const b = await worker(plane, 'b')
  await vi.waitFor(() => expect(a.heard.at(-1)?.type).toBe('release'), WAIT)
  const asked = shardsIn(a.heard.at(-1))
  expect(asked.length).toBeLessThanOrEqual(20)
  expect(await b.shards()).toBe(0)
  a.releases = true
  await plane.assignments.release(asked, a.id)

  await vi.waitFor(async () => expect(await b.shards()).toBeGreaterThanOrEqual(28), WAIT)
  await vi.waitFor(async () => expect((await a.shards()) + (await b.shards())).toBe(SHARDS), WAIT)
  const moved = (await plane.assignments.ownedBy(b.id)).map(({ epoch, previousOwner }) => ({ epoch, previousOwner }))
  expect(new Set(moved.map((it) => JSON.stringify(it)))).toEqual(
    new Set([JSON.stringify({ epoch: 2, previousOwner: a.id })]),
  )
})

test('D-09: shards of a dead worker go to the living at a higher epoch, and its next beat is answered with its death', async () => {
  const plane = await openPlane()
  await coordinate(plane)
  const a = await worker(plane, 'a')
  await owning(a, SHARDS)

  const b = await worker(plane, 'b', { releases: false })
  const diedAt = performance.now()
  await a.die()

  await owning(b, SHARDS)
  expect(performance.now() - diedAt).toBeLessThan(SOON_MS)
  expect((await plane.assignments.list()).every(({ epoch }) => epoch >= 2)).toBe(true)
  expect(await plane.nodes.find(a.id)).toMatchObject({ status: 'dead' })
  await a.beat('stay')
  expect(a.answer).toBe('dead')
  await a.beat('enter')
  expect(a.answer).toBe('dead')
})

test('the leader shows the cluster, and whom it lost; who does not lead shows that', async () => {
  const plane = await openPlane()
  const [metrics, others] = [createMetrics(), createMetrics()]
  const page = async (of = metrics) => (await of.page()).body
  const leader = await coordinate(plane, plane.primary, metrics)
  const a = await worker(plane, 'a')
  await worker(plane, 'b')
  await vi.waitFor(async () => expect(await page()).toContain('orchestrator_cluster_nodes{role="worker"} 2'), WAIT)
  await coordinate(plane, plane.primary, others)

  await a.die()

  await vi.waitFor(async () => expect(await page()).toContain('orchestrator_nodes_lost_total 1'), WAIT)
  await vi.waitFor(async () => expect(await page()).toContain('orchestrator_cluster_nodes{role="worker"} 1'), WAIT)
  expect(await page()).toContain('orchestrator_leads 1')
  expect(await page(others)).toContain('orchestrator_leads 0')
  expect(await page(others)).not.toContain('orchestrator_cluster_nodes{')
  await leader.stop()
  await vi.waitFor(
    async () => expect(await page(others)).toContain('orchestrator_cluster_nodes{role="worker"} 1'),
    WAIT,
  )
})

test('shards that nobody may take are shown', async () => {
  const plane = await openPlane()
  const metrics = createMetrics()

  await coordinate(plane, plane.primary, metrics)

  const shown = `orchestrator_shards_stranded ${SHARDS}`
  await vi.waitFor(async () => expect((await metrics.page()).body).toContain(shown), WAIT)
})

test('a node that Postgres calls dead is reminded when its leader fell before telling Redis', async () => {
  const plane = await openPlane()
  const a = await worker(plane, 'a')
  await plane.nodes.setStatus(a.id, 'dead')

  await coordinate(plane)

  await vi.waitFor(() => expect(a.answer).toBe('dead'), WAIT)
})

test('a worker that leaves is replaced without waiting for its silence', async () => {
  const plane = await openPlane()
  await coordinate(plane)
  const a = await worker(plane, 'a')
  await owning(a, SHARDS)
  const b = await worker(plane, 'b', { releases: false })
  await vi.waitFor(async () => expect(await plane.beats.read()).toHaveLength(2), WAIT)

  // Its beats go on: no silence can be the reason.
  await plane.nodes.setStatus(a.id, 'left')

  await owning(b, SHARDS)
})

test('a draining worker gives away what it has and gets nothing', async () => {
  const plane = await openPlane()
  await coordinate(plane)
  const a = await worker(plane, 'a')
  await owning(a, SHARDS)
  a.status = 'draining'
  const b = await worker(plane, 'b')

  await owning(b, SHARDS)
  expect(await a.shards()).toBe(0)
})

test('no shard goes to a worker of an older version', async () => {
  const plane = await openPlane()
  await coordinate(plane)
  const a = await worker(plane, 'a', { version: '2.1.0' })
  await owning(a, SHARDS)
  const old = await worker(plane, 'old', { version: '2.0.0' })

  await a.leave()

  await vi.waitFor(() => expect(plane.log.lines.join('\n')).toContain('shards wait for a worker'), WAIT)
  expect(await old.shards()).toBe(0)
  const next = await worker(plane, 'next', { version: '2.1.0' })
  await owning(next, SHARDS)
})

test('D-12: of two coordinators one leads; when it is killed the other leads soon and goes on', async () => {
  const plane = await openPlane()
  const first = await startNode(plane, { kind: 'coordinator', id: newNodeId('first'), shardCount: SHARDS })
  const a = await worker(plane, 'a')
  await owning(a, SHARDS)
  const second = await coordinate(plane)
  expect(second.leads).toBe(false)

  const killedAt = performance.now()
  first.kill('SIGKILL')
  await a.leave()
  const b = await worker(plane, 'b')

  await owning(b, SHARDS)
  expect(second.leads).toBe(true)
  expect(performance.now() - killedAt).toBeLessThan(SOON_MS)
})

test('a leader that stops hands over at once', async () => {
  const plane = await openPlane()
  const first = await coordinate(plane)
  await vi.waitFor(() => expect(first.leads).toBe(true), WAIT)
  const second = await coordinate(plane)
  const former = await plane.leader.current()

  await first.stop()

  expect((await plane.leader.current())?.holder).not.toBe(former?.holder)
  await vi.waitFor(() => expect(second.leads).toBe(true), WAIT)
  expect(first.leads).toBe(false)
})

test('a leader that does not reach Redis lets another lead, who does', async () => {
  const plane = await openPlane()
  let reaches = true
  const first = await coordinate(plane, async () => {
    if (reaches) return await plane.primary()
    throw new Error('no way to Redis')
  })
  await vi.waitFor(() => expect(first.leads).toBe(true), WAIT)
  const second = await coordinate(plane)

  reaches = false
  const cutAt = performance.now()
  await vi.waitFor(() => expect(second.leads).toBe(true), WAIT)

  expect(performance.now() - cutAt).toBeLessThan(SOON_MS)
  expect(first.leads).toBe(false)
})

test('an outage of Redis kills no node, and the coordinator goes on after it', async () => {
  const server = await startRedis({ own: true })
  onTestFinished(() => server.stop())
  const plane = await openPlane(server.url)
  await coordinate(plane)
  const a = await worker(plane, 'a')
  await owning(a, SHARDS)

  await server.kill('SIGSTOP')
  await vi.waitFor(() => expect(plane.log.lines.join('\n')).toContain('the coordinator cannot work now'), WAIT)
  const outageAt = performance.now()
  await vi.waitFor(() => expect(performance.now() - outageAt).toBeGreaterThan(4_000), WAIT)
  await server.kill('SIGCONT')
  await vi.waitFor(() => expect(plane.log.lines.join('\n')).toContain('reaches Redis and the database again'), WAIT)

  expect(await plane.nodes.find(a.id)).toMatchObject({ status: 'live' })
  const b = await worker(plane, 'b')
  await a.leave()
  await owning(b, SHARDS)
})
