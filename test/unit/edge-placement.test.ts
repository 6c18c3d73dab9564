/**
 * Where an edge places a new session, and what it answers when every worker is full.
 */
import { expect, test } from 'vitest'
import type { ClusterView, LiveNode } from '../../src/cluster/cluster.js'
import { SessionPlacement } from '../../src/edge/session-placement.js'

const worker = (id: string, busy: number, more: Partial<LiveNode> = {}): LiveNode => ({
  id,
  role: 'worker',
  version: '1',
  weight: 1,
  load: { busy, capacity: 10, queued: 0 },
  beatAt: 0,
  status: 'live',
  lagMs: 0,
  ...more,
})

const placement = (...nodes: readonly LiveNode[]): SessionPlacement => {
  const view: ClusterView = { nodes: () => nodes, owners: () => new Map([[3, 'a@1']]), shardCount: 8 }
  return new SessionPlacement(view, 'least-loaded')
}

test.each([
  ['no worker is known yet', [], false],
  ['one worker has room', [worker('a@1', 10), worker('b@1', 9)], false],
  ['a worker has just joined', [worker('a@1', 0, { load: { busy: 0, capacity: 0, queued: 0 } })], false],
  ['every worker is at its limit', [worker('a@1', 10), worker('b@1', 12)], true],
  ['the only worker with room is leaving', [worker('a@1', 10), worker('b@1', 0, { status: 'draining' })], true],
  ['only an edge has room', [worker('a@1', 10), worker('e@1', 0, { role: 'edge' })], true],
])('W-63: when %s, full is answered accordingly', (_when, nodes, full) => {
  expect(placement(...nodes).isFull()).toBe(full)
})

test('a session goes to a shard of a worker that takes sessions', () => {
  expect(placement(worker('a@1', 0), worker('b@1', 0)).place('key')).toMatchObject({ worker: 'a@1', shard: 3 })
})
