/**
 * What a member tells the cluster, and what it learns from it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../../scripts/servers/servers.js'
import { Membership, type MembershipOptions } from '../../../src/cluster/membership.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { nodeKey, nodesKey } from '../../../src/redis/keys.js'
import { startNode } from './node-process.js'
import { openPlane, type Plane, redisAt } from './plane.js'

const WAIT = { timeout: 15_000, interval: 20 }

function member(plane: Plane, extra: Partial<MembershipOptions> = {}) {
  const { cluster, redisConfig: redis, nodes, log } = plane
  const id = newNodeId('worker-a')
  const facts = { role: 'worker', version: '2.0.0', weight: 2, capacity: 10 } as const
  const membership = new Membership({ id, cluster, redis, nodes, log, ...facts, ...extra })
  onTestFinished(() => membership.stop())
  const onDead = vi.fn()
  membership.onDead(onDead)
  const beat = async () => (await plane.beats.read()).find((it) => it.id === membership.id)
  return { membership, onDead, beat }
}

test('a node that has joined beats with what it tells about itself', async () => {
  const plane = await openPlane()
  const { membership, beat } = member(plane)

  await membership.start()
  expect(await plane.nodes.find(membership.id)).toMatchObject({ name: 'worker-a', role: 'worker', status: 'live' })
  expect(membership.mayStartEffects()).toBe(true)
  membership.setLoad({ busy: 3, capacity: 10, queued: 4 })
  membership.setStatus('draining')

  const load = { busy: 3, capacity: 10, queued: 4 }
  await vi.waitFor(async () => expect(await beat()).toMatchObject({ load, status: 'draining' }), WAIT)
  expect(await beat()).toMatchObject({ role: 'worker', version: '2.0.0', weight: 2, lagMs: 0 })
})

test('a node that leaves is gone at once and may start no effect', async () => {
  const plane = await openPlane()
  const { membership, beat, onDead } = member(plane)
  await membership.start()

  await membership.stop()

  expect(membership.mayStartEffects()).toBe(false)
  expect(await plane.nodes.find(membership.id)).toMatchObject({ status: 'left' })
  expect(await beat()).toBeUndefined()
  expect(onDead).not.toHaveBeenCalled()
})

test('a node that is declared dead learns it with the next beat, once, and never comes back', async () => {
  const plane = await openPlane()
  const { membership, onDead, beat } = member(plane)
  await membership.start()

  await plane.nodes.setStatus(membership.id, 'dead')
  await plane.beats.declareDead(membership.id)

  await vi.waitFor(() => expect(onDead).toHaveBeenCalledTimes(1), WAIT)
  expect(membership.mayStartEffects()).toBe(false)
  expect(await beat()).toMatchObject({ status: 'dead' })
  await membership.stop()
  expect(await plane.nodes.find(membership.id)).toMatchObject({ status: 'dead' })
  await plane.redis.del(nodeKey(plane.cluster, membership.id))
  await expect(member(plane, { id: membership.id }).membership.start()).rejects.toThrow('could not join')
  expect(await beat()).toBeUndefined()
  expect(onDead).toHaveBeenCalledTimes(1)
})

test('a node that was silent until its key expired learns its death from Postgres', async () => {
  const plane = await openPlane()
  const { membership, onDead } = member(plane)
  await membership.start()

  await plane.nodes.setStatus(membership.id, 'dead')
  await plane.redis.del(nodeKey(plane.cluster, membership.id))

  await vi.waitFor(() => expect(onDead).toHaveBeenCalledTimes(1), WAIT)
  expect(membership.mayStartEffects()).toBe(false)
})

test('a node that Redis has lost comes back when Postgres lists it as alive', async () => {
  const plane = await openPlane()
  const { membership, onDead, beat } = member(plane)
  await membership.start()

  await plane.redis.del(nodeKey(plane.cluster, membership.id), nodesKey(plane.cluster))

  await vi.waitFor(async () => expect(await beat()).toMatchObject({ status: 'live' }), WAIT)
  await vi.waitFor(() => expect(membership.mayStartEffects()).toBe(true), WAIT)
  expect(onDead).not.toHaveBeenCalled()
})

test('no effect starts once Redis has not answered for 2 seconds, until it answers again', async () => {
  const server = await startRedis({ own: true })
  onTestFinished(() => server.stop())
  const plane = await openPlane(server.url)
  const { membership, onDead } = member(plane)
  await membership.start()

  const before = performance.now()
  await server.kill('SIGSTOP')
  const stoppedAt = performance.now()
  let allowedAt = stoppedAt
  await vi.waitUntil(() => {
    const now = performance.now()
    if (membership.mayStartEffects()) allowedAt = now
    return allowedAt !== now
  }, WAIT)
  const deniedAt = performance.now()
  await sleep(500) // Long enough for a beat that was queued before to be taken for an answer.
  expect(membership.mayStartEffects()).toBe(false)
  await server.kill('SIGCONT')

  // The last acknowledged beat was sent about a second before the stop, or later.
  expect(deniedAt - before).toBeGreaterThan(500)
  expect(allowedAt - stoppedAt).toBeLessThan(2_100)
  await vi.waitFor(() => expect(membership.mayStartEffects()).toBe(true), WAIT)
  expect(onDead).not.toHaveBeenCalled()
})

test('a node cannot join while Redis is away, and says so', async () => {
  const plane = await openPlane()
  const { membership } = member(plane, { redis: redisAt('redis://127.0.0.1:1') })

  await expect(membership.start()).rejects.toThrow(`${membership.id} could not join the cluster`)
  expect(membership.mayStartEffects()).toBe(false)
})

test.each(['src', 'dist'] as const)(
  'beats go on while the main loop is blocked, and tell its lag (%s)',
  async (code) => {
    const plane = await openPlane()
    const id = newNodeId('blocked')
    const child = await startNode(plane, { kind: 'member', id, code })
    const seen: { readonly at: number; readonly lagMs: number }[] = []
    const watch = async () => {
      const beat = (await plane.beats.read()).find((it) => it.id === id)
      if (beat && seen.at(-1)?.at !== beat.beatAt) seen.push({ at: beat.beatAt, lagMs: beat.lagMs })
    }

    child.stdin?.write('block 6000\n')
    await vi.waitFor(async () => {
      await watch()
      expect(seen.some(({ lagMs }) => lagMs >= 1_500)).toBe(true)
    }, WAIT)
    await vi.waitFor(async () => {
      await watch()
      expect(seen.at(-1)?.lagMs).toBe(0)
    }, WAIT)

    const gaps = seen.slice(1).map(({ at }, index) => at - (seen[index]?.at ?? at))
    expect(Math.max(...gaps)).toBeLessThan(5_000)
  },
)
