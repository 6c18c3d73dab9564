/**
 * The capacity simulator: it deals out shards as the coordinator does, and its sums are right where they can be seen.
 */
import { describe, expect, test } from 'vitest'
import { assumed } from '../../loadtest/simulate/assumptions.js'
import { redisLoad } from '../../loadtest/simulate/redis-load.js'
import { churn, dealt, perWorker, sessionsByShard, workersOf } from '../../loadtest/simulate/ring.js'
import { simulate } from '../../loadtest/simulate/simulation.js'
import { storm } from '../../loadtest/simulate/storm.js'
import { seededRandom } from '../../src/chaos/seeded-random.js'
import { createPlacer } from '../../src/shards/placement.js'

const SHARDS = 256

describe('the ring', () => {
  test('no worker has more than the bound on its load allows', () => {
    const workers = workersOf(20)
    const shards = perWorker(dealt(SHARDS, workers), workers, () => 1)

    expect(shards.reduce((sum, count) => sum + count, 0)).toBe(SHARDS)
    expect(Math.max(...shards)).toBeLessThanOrEqual(Math.ceil((1.1 * SHARDS) / 20))
  })

  test('sessions are placed where the placer of the edges puts them', () => {
    const workers = workersOf(4)
    const owners = dealt(SHARDS, workers)
    const view = workers.map(({ id, weight }) => {
      const shards = [...owners].filter(([, owner]) => owner === id).map(([shard]) => shard)
      return { id, weight, load: 0, shards }
    })
    const placer = createPlacer('hash-based')
    const counts = new Uint32Array(SHARDS)
    for (let session = 0; session < 200; session++) {
      const shard = placer({ workers: view }, `tenant-${session}/task-${session}`)?.shard ?? -1
      counts[shard] = (counts[shard] ?? 0) + 1
    }

    expect([...sessionsByShard(200, SHARDS)]).toEqual([...counts])
  })

  test('the death of a worker moves its shards and no others', () => {
    const workers = workersOf(20)
    const owners = dealt(SHARDS, workers)
    const lost = [...owners.values()].filter((owner) => owner === workers[0]?.id).length

    const { orphans, planned } = churn('one dies', SHARDS, owners, workers, workers.slice(1))

    expect({ orphans, planned }).toEqual({ orphans: lost, planned: 0 })
  })
})

test('memory and processor of Redis are the sums of what sessions and commands cost', () => {
  const load = redisLoad(
    assumed({
      sessions: '1000',
      'active-share': '0.1',
      'warm-share': '0.2',
      'active-bytes': '5000',
      'warm-bytes': '1000',
      'commands-per-minute': '60',
      'command-us': '100',
    }),
  )

  expect(load.bytes).toBe(100 * 5_000 + 200 * 1_000)
  expect(load.commandsPerSecond).toBe(100)
  expect(load.cores.commands).toBeCloseTo(0.01)
})

describe('a reconnect storm', () => {
  const base = { edges: 10, clients: 10_000, connectsPerSecond: 100 }

  test('is over when the edges that are left have served all that were cut off', () => {
    const { cutOff, allMs, retries } = storm({ ...base, lostEdges: 1, random: seededRandom(1) })

    expect(cutOff).toBe(1_000)
    expect(retries).toBe(0)
    // 900 a second, and the first pause of a client.
    expect(allMs).toBeGreaterThan(1_000)
    expect(allMs).toBeLessThan(1_500)
  })

  test('that outlasts the patience of clients makes them try again, and ends all the same', () => {
    const { retries, allMs, cutOff } = storm({ ...base, clients: 30_000, lostEdges: 10, random: seededRandom(1) })

    expect(cutOff).toBe(30_000)
    expect(retries).toBeGreaterThan(0)
    expect(allMs).toBeGreaterThan(29_000)
    expect(allMs).toBeLessThan(300_000)
  })
})

test('the assumptions are printed, and one that cannot be is refused with its meaning', () => {
  const { tables } = simulate(assumed({ sessions: '10000', workers: '10', edges: '4', shards: '64' }))

  expect(tables.flatMap(({ rows }) => rows).filter(([name]) => name === '--sessions')).toEqual([
    ['--sessions', '10000', 'sessions that exist'],
  ])
  expect(() => assumed({ workers: '0' })).toThrow(/--workers is a number above 0, of workers/)
  expect(() => assumed({ 'active-share': '2' })).toThrow(/--active-share/)
  expect(() => assumed({ shards: '5000' })).toThrow(/at most 4096/)
})
