/**
 * What edges count together, on Redis and on Redis Cluster.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { RateLimit } from '../../src/edge/rate-limit.js'
import { connectCommands, disconnect, type RedisClient, type RedisConfig } from '../../src/redis/connect.js'
import { ConnectionCounts } from '../../src/redis/connection-counts.js'
import { MessageCounts } from '../../src/redis/message-counts.js'

const variable = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing: the global setup of the tests provides it`)
  return value
}

const nodesOf = (urls: string): string[] => urls.split(',').map((url) => new URL(url).host)

const STORES: readonly [name: string, servers: () => Pick<RedisConfig, 'url' | 'clusterNodes'>][] = [
  ['Redis', () => ({ url: variable('TEST_REDIS_URL'), clusterNodes: [] })],
  ['Redis Cluster', () => ({ url: undefined, clusterNodes: nodesOf(variable('TEST_REDIS_CLUSTER_URLS')) })],
]

describe.each(STORES)('%s', (_name, servers) => {
  const cluster = `limits-${randomUUID()}`
  let client: RedisClient
  beforeAll(async () => {
    const config = { ...servers(), password: undefined, db: 0, connectTimeoutMs: 5_000 }
    client = await connectCommands(config, () => undefined)
  })
  afterAll(() => disconnect(client))

  test('two edges that take points at once pass exactly the limit', async () => {
    const store = new MessageCounts(client, cluster)
    const log = { info: vi.fn(), warn: vi.fn() }
    const edges = [1, 2].map(() => new RateLimit({ max: 100, windowMs: 60_000 }, store, log).allowance('acme:alice'))

    const answers = await Promise.all(edges.flatMap((edge) => Array.from({ length: 80 }, () => edge.take())))

    expect(answers.filter((answer) => answer === undefined)).toHaveLength(100)
    expect(log.warn).not.toHaveBeenCalled()
  })

  test('no time as long as the window sees more than the limit, and everything comes back', async () => {
    const [windowMs, sliceMs, points] = [500, 25, 10]
    const counts = new MessageCounts(client, cluster)
    const limit = { points, sliceMs, slices: windowMs / sliceMs + 2 }
    /** Each was granted at some time between the two: what a question takes, nobody knows which half of it. */
    const granted: { readonly asked: number; readonly answered: number }[] = []

    const begun = performance.now()
    while (performance.now() < begun + 4 * windowMs || granted.length < 3 * points) {
      const asked = performance.now()
      const taken = await counts.take('acme:sliding', 3, limit)
      const answered = performance.now()
      expect(taken.nextInMs).toBeGreaterThan(0)
      for (let point = 0; point < taken.granted; point++) granted.push({ asked, answered })
    }

    const within = (from: number) =>
      granted.filter(({ asked, answered }) => asked >= from && answered < from + windowMs).length
    expect(Math.max(...granted.map(({ asked }) => within(asked)))).toBe(points)
    const key = `${cluster}:msgs:acme:sliding`
    expect(await client.hlen(key)).toBeLessThanOrEqual(limit.slices + 1)
    await vi.waitFor(async () => expect(await client.exists(key)).toBe(0), { timeout: 15_000, interval: 50 })
  })

  test('counts of connections are kept by edge, and zero leaves nothing behind', async () => {
    const counts = new ConnectionCounts(client, cluster)

    await counts.write('acme:{alice}', 'edge@one', 3)
    const both = await counts.write('acme:{alice}', 'edge@two', 4)
    const one = await counts.write('acme:{alice}', 'edge@two', 0)

    expect(Object.fromEntries(both)).toEqual({ 'edge@one': 3, 'edge@two': 4 })
    expect(Object.fromEntries(one)).toEqual({ 'edge@one': 3 })
  })

  test('who is full is told to everybody, until an edge takes it back or says it no more', async () => {
    const counts = new ConnectionCounts(client, cluster, 1_000)

    const first = await counts.exchangeFull(['acme:alice', 'acme:bob'], [])
    const seen = await counts.exchangeFull([], ['acme:bob'])

    expect([...first].sort()).toEqual(['acme:alice', 'acme:bob'])
    expect(seen).toEqual(['acme:alice'])
    await vi.waitFor(async () => expect(await counts.exchangeFull([], [])).toEqual([]), {
      timeout: 15_000,
      interval: 100,
    })
  })
})
