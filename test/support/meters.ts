/**
 * Runs one suite against every meter: in one process, on Redis and on Redis Cluster.
 */
import { randomUUID } from 'node:crypto'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe } from 'vitest'
import { MemoryMeter } from '../../src/budget/memory-meter.js'
import type { Meter } from '../../src/budget/meter.js'
import { RedisMeter } from '../../src/budget/redis-meter.js'
import { connectCommands, disconnect, type RedisClient, type RedisConfig } from '../../src/redis/connect.js'

export interface MeterUnderTest {
  /** Two workers that count together. */
  readonly meters: readonly [Meter, Meter]
  /** Makes the store forget all that was counted. */
  forget(): Promise<readonly [Meter, Meter]>
  /** Makes the store forget counts, but not reservations. Undefined in one process. */
  readonly loseCounts: (() => Promise<void>) | undefined
  /** Makes it look as if the counts had come from another server. Undefined in one process. */
  readonly pretendServer: (() => Promise<void>) | undefined
}

export type OpenMeter = () => MeterUnderTest

export function eachMeter(define: (open: OpenMeter) => void): void {
  describe('in one process', () => define(openMemory))
  onRedis('Redis', () => ({ url: variable('TEST_REDIS_URL'), clusterNodes: [] }), define)
  onRedis('Redis Cluster', clusterServers, define)
}

/** The suite on one Redis alone. */
export const onSingleRedis = (define: (open: OpenMeter) => void): void =>
  onRedis('Redis', () => ({ url: variable('TEST_REDIS_URL'), clusterNodes: [] }), define)

/** Two workers are one in one process. */
export function memoryMeters(): readonly [Meter, Meter] {
  const meter = new MemoryMeter()
  return [meter, meter]
}

const openMemory = (): MeterUnderTest => ({
  meters: memoryMeters(),
  forget: async () => memoryMeters(),
  pretendServer: undefined,
  loseCounts: undefined,
})

function onRedis(
  name: string,
  servers: () => Pick<RedisConfig, 'url' | 'clusterNodes'>,
  define: (open: OpenMeter) => void,
): void {
  describe(name, () => {
    const clients: RedisClient[] = []
    beforeAll(async () => {
      const config = { ...servers(), password: undefined, db: 0, connectTimeoutMs: 5_000 }
      for (let i = 0; i < 2; i++) clients.push(await connectCommands(config, () => undefined))
    })
    afterAll(() => {
      for (const client of clients) disconnect(client)
    })
    define(() => openRedis(clients))
  })
}

function openRedis([first, second]: readonly RedisClient[]): MeterUnderTest {
  if (!first || !second) throw new Error('not connected')
  const cluster = `test-${randomUUID()}`
  const meters = [new RedisMeter(first, cluster), new RedisMeter(second, cluster)] as const
  const keys = async () => (await Promise.all(servers(first).map((it) => it.keys(`${cluster}:budget:*`)))).flat()
  return {
    meters,
    forget: async () => {
      for (const key of await keys()) await first.unlink(key)
      return meters
    },
    loseCounts: async () => {
      for (const key of await keys()) if (key.includes(':w:')) await first.unlink(key)
    },
    pretendServer: async () => {
      for (const key of await keys()) if (key.includes(':w:')) await first.hset(key, 'store', 'another server')
    },
  }
}

const servers = (client: RedisClient) => (client instanceof Cluster ? client.nodes('master') : [client])

const clusterServers = () => ({
  url: undefined,
  clusterNodes: variable('TEST_REDIS_CLUSTER_URLS')
    .split(',')
    .map((url) => new URL(url).host),
})

function variable(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing; the global setup of the tests provides it`)
  return value
}
