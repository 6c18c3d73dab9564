/**
 * A failover or a restart of Redis shows in its identity, and nothing else does.
 */
import { expect, onTestFinished, test } from 'vitest'
import { startRedis } from '../../../scripts/servers/servers.js'
import { connectCommands, disconnect, type RedisConfig } from '../../../src/redis/connect.js'
import { primaryIdentity } from '../../../src/redis/primary.js'
import { redisAt } from './plane.js'

async function client(config: RedisConfig) {
  const connected = await connectCommands(config, () => undefined)
  onTestFinished(() => disconnect(connected))
  return connected
}

test('one server keeps its identity, and two servers differ', async () => {
  const own = await startRedis({ own: true })
  onTestFinished(() => own.stop())
  const [one, other] = [await client(redisAt(own.url)), await client(redisAt(process.env.TEST_REDIS_URL ?? ''))]

  const identity = await primaryIdentity(one)

  expect(identity).toMatch(/^[0-9a-f]{40} [0-9a-f]{40}$/)
  expect(await primaryIdentity(one)).toBe(identity)
  expect(await primaryIdentity(other)).not.toBe(identity)
})

test.runIf(process.env.TEST_REDIS_CLUSTER_URLS)('a Redis Cluster has one made of all its masters', async () => {
  const clusterNodes = process.env.TEST_REDIS_CLUSTER_URLS?.split(',').map((url) => new URL(url).host) ?? []
  const cluster = await client({ ...redisAt(''), url: undefined, clusterNodes })

  const identities = await Promise.all(Array.from({ length: 10 }, () => primaryIdentity(cluster)))

  expect(new Set(identities).size).toBe(1)
  expect(identities[0]?.split(', ').length).toBeGreaterThan(1)
})
