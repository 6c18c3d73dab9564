/**
 * What a worker reports of the load of its shards.
 */
import { expect, test } from 'vitest'
import { LoadMeter } from '../../../src/worker/load-meter.js'

function fixture() {
  const time = { now: 0 }
  const meter = new LoadMeter(() => time.now)
  const owned = new Set(Array.from({ length: 100 }, (_, shard) => shard))
  const after = (ms: number, work: Parameters<LoadMeter['report']>[1] = []) => {
    time.now += ms
    return meter.report(owned, work)
  }
  return { meter, owned, after }
}

test('the first look at a new shard already tells its rate', () => {
  const { meter, after } = fixture()

  meter.accepted(7, 200)

  expect(after(2_000).hot[0]).toMatchObject({ shard: 7, perSecond: 100 })
})

test('a burst counts half after ten quiet seconds, and is forgotten in the end', () => {
  const { meter, after } = fixture()
  for (let second = 0; second < 60; second++) {
    meter.accepted(7, 100)
    after(1_000)
  }

  expect(after(10_000).hot[0]?.perSecond).toBeCloseTo(50, 0)
  for (let minute = 0; minute < 5; minute++) after(60_000)
  expect(after(1_000).hot).toEqual([])
})

test('turns and waiting commands of the sessions of a shard add up', () => {
  const { after } = fixture()

  const { hot } = after(1_000, [
    { shard: 3, running: true, queued: 2 },
    { shard: 3, running: false, queued: 1 },
    { shard: 4, running: true, queued: 0 },
  ])

  expect(hot).toEqual([
    { shard: 3, running: 1, queued: 3, perSecond: 0 },
    { shard: 4, running: 1, queued: 0, perSecond: 0 },
  ])
})

test('the 32 hottest shards are named, and of the others the sum', () => {
  const { after } = fixture()
  const work = Array.from({ length: 100 }, (_, shard) => ({ shard, running: true, queued: shard }))

  const { hot, rest } = after(1_000, work)

  expect(hot.map(({ shard }) => shard)).toEqual(Array.from({ length: 32 }, (_, index) => 99 - index))
  expect(rest).toMatchObject({ running: 68, queued: (67 * 68) / 2 })
})

test('a shard that is owned no more is not reported', () => {
  const { meter, owned, after } = fixture()
  meter.accepted(7, 10)
  owned.delete(7)

  expect(after(1_000, [{ shard: 7, running: true, queued: 0 }]).hot).toEqual([])
})
