/**
 * When the leader looks at the load of shards, and what it makes of the reports.
 */
import { expect, test, vi } from 'vitest'
import type { ShardLoadReport } from '../../../src/cluster/cluster.js'
import type { Plan } from '../../../src/coordinator/balancer.js'
import { LoadWatch, loadsOf } from '../../../src/coordinator/load-watch.js'

const idle = { shard: -1, running: 0, queued: 0, perSecond: 0 }
const owners = new Map([
  [0, 'a@1'],
  [1, 'a@1'],
  [2, 'a@1'],
  [3, 'b@1'],
])

function fixture() {
  const time = { now: 0 }
  const read = vi.fn(async () => new Map<string, ShardLoadReport>())
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const watch = new LoadWatch({ shardLoads: { read }, log, clock: () => time.now })
  const look = (workers = ['a@1', 'b@1']) => watch.picture(owners, workers)
  return { time, read, log, watch, look }
}

const plan = (reason: Plan['reason'], ...shards: number[]): Plan => ({
  ...{ takeovers: [], stranded: [], reason },
  moves: shards.map((shard) => ({ shard, epoch: 1, from: 'a@1', to: 'b@1' })),
})

test('a look is due when workers come or go and when it is asked for, and once only', async () => {
  const { watch, look } = fixture()

  const dues: boolean[] = []
  for (const workers of [['a@1'], ['a@1'], ['a@1', 'b@1'], ['b@1', 'a@1']]) {
    dues.push((await look(workers)).byLoad)
    watch.looked(plan('load'))
  }
  watch.request()
  dues.push((await look()).byLoad)

  expect(dues).toEqual([true, false, true, false, true])
})

test('a look that found other moves to make is due again when they are measured', async () => {
  const { time, watch, look } = fixture()
  await look()

  watch.looked(plan('number', 1, 2))
  time.now = 5_000

  expect((await look()).byLoad).toBe(true)
})

test('after a round by load the next look waits until its shards are measured anew, and they rest', async () => {
  const { time, watch, look } = fixture()
  await look()
  watch.looked(plan('load', 1))

  const during = await look()
  time.now = 5_000
  const after = await look()
  time.now = 30_000
  const later = await look()

  expect(during).toMatchObject({ byLoad: false, resting: new Set([1]) })
  expect(after).toMatchObject({ byLoad: true, resting: new Set([1]) })
  expect(later.resting).toEqual(new Set())
})

test('the figures are read only while a look is due, and their loss is said once and harms nothing', async () => {
  const { read, log, watch, look, time } = fixture()
  await look()
  watch.looked(plan('load'))
  await look()
  expect(read).toHaveBeenCalledTimes(1)
  read.mockRejectedValue(new Error('away'))
  watch.request()

  for (time.now = 0; time.now < 10_000; time.now += 1_000) expect((await look()).loads.size).toBe(4)

  expect(log.warn).toHaveBeenCalledTimes(1)
})

test('loads are turns: commands that wait and that come fast add to them, and what is not named shares the rest', () => {
  const reports = new Map<string, ShardLoadReport>([
    ['a@1', { hot: [{ shard: 0, running: 2, queued: 4, perSecond: 100 }], rest: { ...idle, running: 6 } }],
    ['b@1', { hot: [], rest: idle }],
  ])

  expect(loadsOf(owners, reports)).toEqual(
    new Map([
      [0, 5],
      [1, 3],
      [2, 3],
      [3, 0],
    ]),
  )
})

test('a shard on the move counts as what its busier owner has seen', () => {
  const seen = (running: number) => ({ hot: [{ shard: 0, running, queued: 0, perSecond: 0 }], rest: idle })

  expect(
    loadsOf(
      new Map([[0, 'b@1']]),
      new Map([
        ['a@1', seen(7)],
        ['b@1', seen(1)],
      ]),
    ),
  ).toEqual(new Map([[0, 7]]))
})
