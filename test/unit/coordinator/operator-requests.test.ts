/**
 * What becomes of what operators ask of the leader.
 */
import { expect, test, vi } from 'vitest'
import type { BalancedWorker, Plan } from '../../../src/coordinator/balancer.js'
import { HOLD_MS, OperatorRequests } from '../../../src/coordinator/operator-requests.js'
import type { ClusterRequest } from '../../../src/storage/cluster-requests.js'

const worker = (name: string, extra: Partial<BalancedWorker> = {}): BalancedWorker => ({
  ...{ id: `${name}@1`, name, weight: 1, version: '2.1.0', draining: false },
  ...extra,
})

const move = (id: number, target: string, extra: Partial<ClusterRequest> = {}): ClusterRequest => ({
  ...{ id, kind: 'move', shard: 3, target, state: 'waiting', outcome: null, ageMs: 100 },
  ...extra,
})

function fixture(open: readonly ClusterRequest[], owner = 'a@1') {
  const end = vi.fn(async () => undefined)
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const requests = new OperatorRequests({
    requests: { listOpen: async () => [...open], end },
    log,
    term: () => ({ holder: 'leader@1', term: 1 }),
  })
  const workers = [worker('a'), worker('b'), worker('old', { version: '2.0.0' }), worker('drains', { draining: true })]
  const assignments = [{ shard: 3, owner, epoch: 7, state: 'assigned' as const, previousOwner: null }]
  const versions = new Map(workers.map(({ id, version }) => [id, version]))
  const ends = () => end.mock.calls.map((call) => (call as unknown[])[0])
  return { requests, ends, read: () => requests.read({ assignments, workers, versions }) }
}

test('a shard that is elsewhere is wished to be where it was asked to be', async () => {
  const { read, ends } = fixture([move(1, 'b@1')])

  expect(await read()).toEqual({ wished: new Map([[3, 'b@1']]), round: false })
  expect(ends()).toEqual([])
})

test('a move is done when the shard has arrived, and the shard then stays for its time', async () => {
  const { read, ends } = fixture([move(1, 'b@1')], 'b@1')

  expect((await read()).wished).toEqual(new Map([[3, 'b@1']]))
  expect(ends()).toEqual([{ id: 1, state: 'done', outcome: 'shard 3 is with b@1', heldMs: HOLD_MS }])
})

test('a shard that is held stays wished, and ends nothing', async () => {
  const { read, ends } = fixture([move(1, 'b@1', { state: 'done' })], 'b@1')

  expect((await read()).wished).toEqual(new Map([[3, 'b@1']]))
  expect(ends()).toEqual([])
})

test.each([
  ['gone@1', 'is not a worker that lives'],
  ['old@1', 'no shard goes back'],
  ['drains@1', 'takes no shards'],
])('a move to %s is refused with its reason', async (target, reason) => {
  const { read, ends } = fixture([move(1, target)])

  expect((await read()).wished.size).toBe(0)
  expect(ends()).toEqual([{ id: 1, state: 'refused', outcome: expect.stringContaining(reason) }])
})

test('an owner that does not let go ends the wish', async () => {
  const { read, ends } = fixture([move(1, 'b@1', { ageMs: 61_000 })])

  expect((await read()).wished.size).toBe(0)
  expect(ends()).toEqual([{ id: 1, state: 'refused', outcome: expect.stringContaining('did not release') }])
})

test('the later of two requests for a shard counts', async () => {
  const { read, ends } = fixture([move(1, 'b@1'), move(2, 'a@1')], 'b@1')

  expect((await read()).wished).toEqual(new Map([[3, 'a@1']]))
  expect(ends()).toEqual([{ id: 1, state: 'refused', outcome: expect.stringContaining('later request') }])
})

test('whoever asked for a round hears what became of the look, and not before', async () => {
  const { requests, ends, read } = fixture([move(4, '', { kind: 'rebalance', shard: null, target: null })])
  const plan = (extra: Partial<Plan>): Plan => ({ takeovers: [], moves: [], stranded: [], reason: 'number', ...extra })

  expect((await read()).round).toBe(true)
  await requests.planned(plan({}))
  expect(ends()).toEqual([])
  await requests.planned(plan({ reason: 'load' }))

  expect(ends()).toEqual([{ id: 4, state: 'done', outcome: 'the load is even enough; nothing moves' }])
})
