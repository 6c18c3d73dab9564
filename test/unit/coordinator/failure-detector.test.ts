/**
 * Which nodes the leader calls dead.
 */
import { expect, test } from 'vitest'
import type { LiveNode } from '../../../src/cluster/cluster.js'
import { FailureDetector, FREEZE_MS, STUCK_AFTER_MS } from '../../../src/coordinator/failure-detector.js'

const ROUND_MS = 250
const BEAT_MS = 1_000

/** A cluster whose nodes beat every second unless they are silenced, watched by one detector. */
function cluster(size: number) {
  const ids = Array.from({ length: size }, (_, index) => `node-${index}@1`)
  const detector = new FailureDetector()
  const silentSince = new Map<string, number>()
  const lag = new Map<string, number>()
  const dead = new Map<string, number>()
  // A clock that has nothing to do with the leader's.
  const skewMs = 3_600_000
  let now = 0
  let primary = 'redis-1'
  const beat = (id: string): LiveNode => ({
    id,
    role: 'worker',
    version: '2.0.0',
    weight: 1,
    load: { busy: 0, capacity: 1, queued: 0 },
    beatAt: skewMs + Math.floor(Math.min(now, silentSince.get(id) ?? now) / BEAT_MS) * BEAT_MS,
    status: 'live',
    lagMs: lag.get(id) ?? 0,
  })
  const run = (untilMs: number) => {
    for (; now <= untilMs; now += ROUND_MS) {
      const expected = ids.filter((id) => !dead.has(id)).map((id) => ({ id }))
      for (const id of detector.judge(expected, ids.map(beat), now, primary).dead) dead.set(id, now)
    }
  }
  const failover = () => {
    primary = 'redis-2'
  }
  return { ids, silentSince, lag, dead, run, failover, sleep: (ms: number) => (now += ms) }
}

test('a node is dead 3 to 4 seconds after its last beat, and the others are not', () => {
  const { ids, silentSince, dead, run } = cluster(4)
  run(10_000)

  silentSince.set('node-1@1', 10_000)
  run(20_000)

  expect([...dead.keys()]).toEqual(['node-1@1'])
  expect(dead.get('node-1@1')).toBeGreaterThanOrEqual(13_000)
  expect(dead.get('node-1@1')).toBeLessThanOrEqual(14_000)
  expect(ids).toHaveLength(4)
})

test('a node that never beats is dead 3 seconds after it was first expected', () => {
  const { silentSince, dead, run } = cluster(1)
  silentSince.set('node-0@1', 0)

  run(2_750)
  expect(dead.size).toBe(0)
  run(3_250)

  expect([...dead.keys()]).toEqual(['node-0@1'])
})

test('a node whose beats report a main loop stuck for 8 seconds is dead', () => {
  const { lag, dead, run } = cluster(3)
  for (const stuckMs of [5_000, 6_000, 7_000]) {
    lag.set('node-2@1', stuckMs)
    run(stuckMs)
  }
  expect(dead.size).toBe(0)

  lag.set('node-2@1', STUCK_AFTER_MS)
  run(STUCK_AFTER_MS)

  expect([...dead.keys()]).toEqual(['node-2@1'])
})

test('one large lag in a single beat, as after a suspended process wakes, kills nobody', () => {
  const { ids, lag, dead, run } = cluster(3)
  run(5_000)

  for (const id of ids) lag.set(id, 60_000)
  run(6_000)
  lag.clear()
  run(20_000)

  expect(dead.size).toBe(0)
})

test('when most nodes fall silent together nobody is dead for 10 seconds, and those who return stay alive', () => {
  const { silentSince, dead, run } = cluster(5)
  run(10_000)
  for (const id of ['node-0@1', 'node-1@1', 'node-2@1']) silentSince.set(id, 10_000)

  run(10_000 + 3_000 + FREEZE_MS - 1_000)
  expect(dead.size).toBe(0)
  silentSince.delete('node-0@1')
  silentSince.delete('node-1@1')
  run(40_000)

  expect([...dead.keys()]).toEqual(['node-2@1'])
})

test('when most nodes stay silent they are dead after the 10 seconds', () => {
  const { silentSince, dead, run } = cluster(3)
  run(10_000)
  for (const id of ['node-0@1', 'node-1@1']) silentSince.set(id, 10_000)

  run(30_000)

  expect([...dead.keys()]).toEqual(['node-0@1', 'node-1@1'])
  expect(dead.get('node-0@1')).toBeGreaterThanOrEqual(10_000 + 3_000 + FREEZE_MS)
  expect(dead.get('node-0@1')).toBeLessThanOrEqual(10_000 + 4_000 + FREEZE_MS)
})

test('a leader that could not watch for a while gives every node its time anew', () => {
  const { silentSince, dead, run, sleep } = cluster(2)
  run(10_000)
  silentSince.set('node-0@1', 10_000)

  sleep(60_000)
  run(10_250 + 60_000 + 2_750)
  expect(dead.size).toBe(0)
  run(10_250 + 60_000 + 4_000)

  expect([...dead.keys()]).toEqual(['node-0@1'])
})

test('for ten seconds after Redis became another who was not heard there is not dead, and then whoever is still silent', () => {
  const { silentSince, dead, run, failover } = cluster(2)
  run(5_000)

  failover()
  silentSince.set('node-1@1', 5_000)
  run(5_000 + FREEZE_MS - 250)
  expect(dead.size).toBe(0)
  run(5_000 + FREEZE_MS + 1_000)

  expect([...dead.keys()]).toEqual(['node-1@1'])
})

test('who has beaten in the Redis that took over is judged as ever', () => {
  const { silentSince, dead, run, failover } = cluster(4)
  run(5_000)

  failover()
  run(7_500)
  silentSince.set('node-1@1', 7_500)
  run(12_000)

  expect([...dead.keys()]).toEqual(['node-1@1'])
  expect(dead.get('node-1@1')).toBeLessThanOrEqual(7_500 + 4_000)
})

test('an old beat in the Redis that took over is no sign of life', () => {
  const { silentSince, dead, run, failover } = cluster(4)
  run(5_000)

  // Its replica had missed the last two seconds.
  failover()
  silentSince.set('node-1@1', 3_000)
  run(5_000 + FREEZE_MS - 250)
  expect(dead.size).toBe(0)
  run(5_000 + FREEZE_MS + 1_000)

  expect([...dead.keys()]).toEqual(['node-1@1'])
})

test('the first Redis that a leader sees is no other', () => {
  const { silentSince, dead, run } = cluster(2)
  silentSince.set('node-1@1', 0)

  run(4_000)

  expect([...dead.keys()]).toEqual(['node-1@1'])
})
