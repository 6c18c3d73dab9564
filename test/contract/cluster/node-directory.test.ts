/**
 * The picture that edges and workers have of the cluster.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { NodeDirectory } from '../../../src/cluster/node-directory.js'
import { openPlane, type Plane } from './plane.js'
import { TestWorker } from './test-worker.js'

const WAIT = { timeout: 15_000, interval: 20 }

async function directory(plane: Plane, extra: Partial<ConstructorParameters<typeof NodeDirectory>[0]> = {}) {
  const { beats, assignments, log } = plane
  const view = new NodeDirectory({ beats, assignments, log, shardCount: 4, ...extra })
  onTestFinished(() => view.stop())
  await view.start()
  return view
}

const ids = (view: NodeDirectory) => view.nodes().map(({ id }) => id)

test('D-06: it shows who beats and who owns what, and follows changes', async () => {
  const plane = await openPlane()
  const a = await new TestWorker(plane, 'a').start()
  await plane.assignments.ensureShards(4)
  await plane.assignments.assign([{ shard: 2, expectedEpoch: 0, owner: a.id }], undefined)

  const view = await directory(plane)
  expect(ids(view)).toEqual([a.id])
  expect([...view.owners()]).toEqual([[2, a.id]])
  const b = await new TestWorker(plane, 'b').start()
  await plane.assignments.assign([{ shard: 3, expectedEpoch: 0, owner: b.id }], undefined)

  await vi.waitFor(() => expect(new Set(ids(view))).toEqual(new Set([a.id, b.id])), WAIT)
  await vi.waitFor(() => expect(view.owners().get(3)).toBe(b.id), WAIT)
})

test('D-02, D-13: a node is not shown once it is dead, or silent for 3 seconds', async () => {
  const plane = await openPlane()
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => new TestWorker(plane, name).start()))
  const view = await directory(plane)
  expect(view.nodes()).toHaveLength(3)

  await plane.beats.declareDead(a?.id ?? '')
  await b?.die()

  await vi.waitFor(() => expect(ids(view)).toEqual([c?.id]), WAIT)
})

test('a node whose beat has expired is forgotten', async () => {
  const plane = await openPlane()
  const a = await new TestWorker(plane, 'a').start()
  await a.die()

  await plane.redis.del(`${plane.cluster}:node:${a.id}`)

  expect(await plane.beats.read()).toEqual([])
  await vi.waitFor(async () => expect(await plane.redis.zcard(`${plane.cluster}:nodes`)).toBe(0), WAIT)
})

test('the last picture stands while the database is away, and is refreshed when it is back', async () => {
  const plane = await openPlane()
  const a = await new TestWorker(plane, 'a').start()
  await plane.assignments.ensureShards(4)
  await plane.assignments.assign([{ shard: 0, expectedEpoch: 0, owner: a.id }], undefined)
  let away = false
  const owners = async () => {
    if (away) throw new Error('the database is away')
    return plane.assignments.owners()
  }
  const view = await directory(plane, { assignments: { owners } })

  away = true
  await plane.assignments.assign([{ shard: 1, expectedEpoch: 0, owner: a.id }], undefined)
  await view.refresh()
  expect([...view.owners().keys()]).toEqual([0])
  expect(ids(view)).toEqual([a.id])
  away = false

  await vi.waitFor(() => expect([...view.owners().keys()]).toEqual([0, 1]), WAIT)
  expect(plane.log.lines.filter((line) => line.includes('grows old'))).toHaveLength(1)
  expect(plane.log.lines.filter((line) => line.includes('fresh again'))).toHaveLength(1)
})
