/**
 * The nodes of a cluster share the tokens of Neolith in Redis: one of them brings new ones, and nobody can read them there.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RedisLease } from '../../../src/neolith/lease.js'
import { RedisTokens } from '../../../src/neolith/redis-tokens.js'
import { Seal } from '../../../src/neolith/sealed.js'
import { connectCommands, disconnect, type RedisClient } from '../../../src/redis/connect.js'
import { neolithLeaseKey, neolithTokensKey } from '../../../src/redis/keys.js'
import { API_KEY, API_SECRET, type FakeNeolith } from '../../support/fake-neolith.js'
import { clientOf, startNeolith } from './neolith-fixture.js'

let redis: RedisClient
beforeAll(async () => {
  const url = process.env.TEST_REDIS_URL ?? ''
  const config = { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
  redis = await connectCommands(config, () => undefined)
})
afterAll(() => disconnect(redis))

interface Node {
  readonly cluster: string
  readonly apiSecret?: string
  readonly client?: RedisClient
}

function storeOf({ cluster, apiSecret = API_SECRET, client = redis }: Node, onError = (_error: unknown) => undefined) {
  const lease = new RedisLease(client, neolithLeaseKey(cluster, 'tokens'), randomUUID())
  const seal = new Seal(API_KEY, apiSecret)
  return new RedisTokens({ redis: client, key: neolithTokensKey(cluster), lease, seal, onError })
}

const clusterName = (): string => `neolith-${randomUUID()}`
const node = (neolith: FakeNeolith, place: Node) => clientOf(neolith, {}, { store: storeOf(place) })

test('one node signs in for all of them, when all start at once', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  const nodes = Array.from({ length: 5 }, () => node(neolith, { cluster }))

  const joined = await Promise.all(nodes.map((each) => each.join(['*'])))

  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
  expect(new Set(joined.map(({ accessToken }) => accessToken)).size).toBe(1)
})

test('a token that is refused is replaced by one node, and the others take the new one', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  const nodes = Array.from({ length: 5 }, () => node(neolith, { cluster }))
  await Promise.all(nodes.map((each) => each.join(['*'])))
  neolith.revokeAccess()

  await Promise.all(nodes.map((each, i) => each.sendMessage('chan-1', `from node ${i}`)))

  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(1)
  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
  expect(neolith.messages.map(({ content }) => content).sort()).toEqual(nodes.map((_, i) => `from node ${i}`))
})

test('a node that comes later uses what is there', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  await node(neolith, { cluster }).join(['*'])

  await node(neolith, { cluster }).join(['*'])

  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
})

test('in Redis nothing can be read, and tokens of another secret are as good as none', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  await node(neolith, { cluster }).join(['*'])

  const stored = await redis.get(neolithTokensKey(cluster))

  for (const secret of neolith.secrets) {
    expect(stored).not.toContain(secret)
    expect(Buffer.from(stored ?? '', 'base64').toString('latin1')).not.toContain(secret)
  }
  expect(await storeOf({ cluster }).read()).toMatchObject({ orchestratorId: 'orch-1' })
  expect(await storeOf({ cluster, apiSecret: 'another' }).read()).toBeUndefined()
  expect(await redis.pttl(neolithTokensKey(cluster))).toBeGreaterThan(6 * 24 * 3_600_000)
})

test('a node that died while it brought new tokens is not waited for beyond its lease', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  await redis.set(neolithLeaseKey(cluster, 'tokens'), 'a node that died', 'PX', 700)
  const before = performance.now()

  await node(neolith, { cluster }).join(['*'])

  expect(performance.now() - before).toBeGreaterThan(500)
  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
})

test('a sign-in that fails frees the way for the next node', async () => {
  const neolith = await startNeolith()
  const cluster = clusterName()
  neolith.status = 'OFFLINE'
  await expect(node(neolith, { cluster }).join(['*'])).rejects.toMatchObject({ code: 'DAEMON_DISABLED' })
  neolith.status = 'ONLINE'

  await node(neolith, { cluster }).join(['*'])

  expect(await redis.exists(neolithLeaseKey(cluster, 'tokens'))).toBe(0)
})

test('without Redis a node goes on with the tokens it knows, and brings its own when they end', async () => {
  const neolith = await startNeolith()
  const url = process.env.TEST_REDIS_URL ?? ''
  const own = await connectCommands(
    { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 },
    () => undefined,
  )
  const errors: unknown[] = []
  const store = storeOf({ cluster: clusterName(), client: own }, (error) => void errors.push(error))
  const client = clientOf(neolith, {}, { store })
  await client.join(['*'])
  disconnect(own)

  await client.getConfig()
  neolith.revokeAccess()
  await client.getConfig()

  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(1)
  expect(errors.length).toBeGreaterThan(0)
})

test('a lease is held by one, prolonged by it alone, and free when it leaves', async () => {
  const key = neolithLeaseKey(clusterName(), 'report')
  const [one, other] = [new RedisLease(redis, key, 'one'), new RedisLease(redis, key, 'other')]

  expect([await one.hold(5_000), await other.hold(5_000), await one.hold(9_000)]).toEqual([true, false, true])
  expect(await redis.pttl(key)).toBeGreaterThan(8_000)
  await other.leave()
  expect(await other.hold(5_000)).toBe(false)
  await one.leave()
  expect(await other.hold(5_000)).toBe(true)
})
