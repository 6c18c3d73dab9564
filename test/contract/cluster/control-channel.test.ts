/**
 * Words from the coordinator to a node.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../../scripts/servers/servers.js'
import type { ControlMessage } from '../../../src/cluster/cluster.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { controlKey } from '../../../src/redis/keys.js'
import { openPlane, type Plane } from './plane.js'

const WAIT = { timeout: 15_000, interval: 20 }

const word = (epoch: number): ControlMessage => ({ type: 'claim', shards: [{ shard: 1, epoch }] })

async function listen(plane: Plane, id = newNodeId('worker')) {
  const heard: ControlMessage[] = []
  const stop = await plane.channel(id).receive((message) => heard.push(message))
  onTestFinished(stop)
  return { id, heard, stop }
}

test('a node hears what was said to it, in order, also before it listened, and nothing said to others', async () => {
  const plane = await openPlane()
  const [id, other] = [newNodeId('a'), newNodeId('b')]
  const leader = plane.channel(newNodeId('leader'))
  await leader.send(id, word(1))
  await leader.send(other, word(99))

  const { heard } = await listen(plane, id)
  for (let epoch = 2; epoch <= 50; epoch++) await leader.send(id, word(epoch))

  await vi.waitFor(() => expect(heard.length).toBe(50), WAIT)
  expect(heard).toEqual(Array.from({ length: 50 }, (_, index) => word(index + 1)))
})

test('a word that this version does not know is skipped', async () => {
  const plane = await openPlane()
  const { id, heard } = await listen(plane)
  const key = controlKey(plane.cluster, id)

  await plane.redis.xadd(key, '*', 'm', '{"type":"dance","shards":[]}')
  await plane.redis.xadd(key, '*', 'm', '{"type":"claim","shards":[{"shard":"x"}]}')
  await plane.redis.xadd(key, '*', 'm', 'not json')
  await plane.channel(id).send(id, word(7))

  await vi.waitFor(() => expect(heard).toEqual([word(7)]), WAIT)
})

test('nothing is heard after the stop, and what nobody reads disappears', async () => {
  const plane = await openPlane()
  const { id, heard, stop } = await listen(plane)

  await stop()
  await plane.channel(id).send(id, word(1))

  expect(heard).toEqual([])
  const lifeMs = await plane.redis.pttl(controlKey(plane.cluster, id))
  expect(lifeMs).toBeGreaterThan(0)
  expect(lifeMs).toBeLessThanOrEqual(60_000)
})

test('words are heard again when Redis answers again after seconds of silence', async () => {
  const server = await startRedis({ own: true })
  onTestFinished(() => server.stop())
  const plane = await openPlane(server.url)
  const { id, heard } = await listen(plane)
  const leader = plane.channel(newNodeId('leader'))

  await server.kill('SIGSTOP')
  await expect(leader.send(id, word(1))).rejects.toThrow()
  await expect(leader.send(id, word(2))).rejects.toThrow()
  await server.kill('SIGCONT')
  await vi.waitFor(() => leader.send(id, word(3)), WAIT)

  await vi.waitFor(() => expect(heard).toContainEqual(word(3)), WAIT)
})
