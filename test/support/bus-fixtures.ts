/**
 * Runs one suite against every bus: in one process, in one process with a journal, on Redis and on Redis Cluster.
 */
import { randomUUID } from 'node:crypto'
import { Cluster } from 'ioredis'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import type { Bus } from '../../src/bus/bus.js'
import type { Outbox } from '../../src/bus/command.js'
import { Lanes } from '../../src/bus/lanes.js'
import { createMemoryBus, type MemoryBusOptions } from '../../src/bus/memory-bus.js'
import { createRedisBus } from '../../src/bus/redis-bus.js'
import type { NodeId, SessionId } from '../../src/protocol/ids.js'
import { connectCommands, disconnect, type RedisClient, type RedisConfig } from '../../src/redis/connect.js'
import { MAX_LANES } from '../../src/shards/lane.js'
import { type Database, openDatabase } from '../../src/storage/database.js'
import { migrate } from '../../src/storage/migrate.js'
import { StandaloneBus } from '../../src/storage/standalone-bus.js'
import { TestOwner } from './bus-actors.js'

/** Small, so that a test can fill an outbox in one turn of the event loop. */
const OUT_ENTRIES = 200
/** A shard that no test uses. */
const FLOODED_SHARD = 4095

export interface BusUnderTest {
  readonly bus: Bus
  /** Stops the bus and opens its store as a new process finds it. Undefined when nothing outlives the process. */
  readonly restart: (() => Promise<Bus>) | undefined
  /** Makes the outbox lose entries before its edge has read them. */
  loseEntries(outbox: Outbox): Promise<void>
  /** What a test can only do to Redis; undefined for a bus in one process. */
  readonly redis: RedisUnderTest | undefined
}

export interface RedisUnderTest {
  /** Makes the owner's bell lose its rings until it is hung anew. */
  loseRings(owner: NodeId, shard: number): Promise<void>
  /** Replaces a key of a session by one of another type, at which every script fails. */
  spoil(sessionId: SessionId, part: 'log' | 'part' | 'inbox'): Promise<void>
  /** Keys that hold something of the session. */
  keysOf(sessionId: SessionId): Promise<readonly string[]>
  /** Notes all that is stored. Returns what makes the store forget everything that was written since. */
  remember(): Promise<() => Promise<void>>
  /** Makes it look as if the shard had last been whole in another server. */
  pretendServer(shard: number, name: string): Promise<void>
  /** Outboxes that are subscribed to the session. */
  subscribersOf(sessionId: SessionId): Promise<string>
  /** Entries in the outbox, in the lane of a shard: one for each call that had something to show. */
  outLength(outbox: Outbox, shard: number): Promise<number>
}

export interface BusFixture {
  readonly name: string
  readonly isRedis: boolean
  /** An empty bus of its own, stopped after the test. */
  open(): Promise<BusUnderTest>
}

interface Store {
  readonly name: string
  readonly isRedis: boolean
  start(): Promise<void>
  stop(): Promise<void>
  /** Returns how to connect to an empty store, again and again. */
  prepare(): Promise<Prepared>
}

interface Prepared {
  readonly connect: () => Promise<Bus>
  readonly isLasting: boolean
  readonly loseEntries: (bus: Bus, outbox: Outbox) => Promise<void>
  readonly redis: RedisUnderTest | undefined
}

/** Defines the suite once for each implementation. */
export function eachBus(define: (fixture: BusFixture) => void): void {
  for (const store of [memoryStore(), journaledStore(), singleRedis(), redisCluster()]) {
    describe(store.name, () => {
      const opened = new Set<Bus>()
      beforeAll(() => store.start())
      afterEach(async () => {
        await Promise.all([...opened].map((bus) => bus.stop()))
        opened.clear()
      })
      afterAll(() => store.stop())
      define({ name: store.name, isRedis: store.isRedis, open: async () => openBus(await store.prepare(), opened) })
    })
  }
}

async function openBus(prepared: Prepared, opened: Set<Bus>): Promise<BusUnderTest> {
  const { connect, isLasting, loseEntries, redis } = prepared
  let bus = await connect()
  opened.add(bus)
  const restart = async (): Promise<Bus> => {
    opened.delete(bus)
    await bus.stop()
    bus = await connect()
    opened.add(bus)
    return bus
  }
  return {
    bus,
    restart: isLasting ? restart : undefined,
    loseEntries: (outbox) => loseEntries(bus, outbox),
    redis,
  }
}

function memoryStore(): Store {
  return {
    name: 'in one process',
    isRedis: false,
    start: async () => undefined,
    stop: async () => undefined,
    prepare: async () => inProcess({}),
  }
}

function journaledStore(): Store {
  let database: Database
  return {
    name: 'in one process with a journal',
    isRedis: false,
    start: async () => {
      database = await openDatabase({ kind: 'pglite', directory: undefined })
      await migrate(database)
    },
    stop: () => database.close(),
    prepare: async () => {
      await sql`truncate bus_shards, bus_sessions, bus_commands, bus_seen, bus_parts, events`.execute(database.sql)
      return inProcess({ journal: new StandaloneBus(database) })
    },
  }
}

function inProcess(options: MemoryBusOptions): Prepared {
  return {
    connect: () => createMemoryBus({ ...options, outEntries: OUT_ENTRIES }),
    isLasting: options.journal !== undefined,
    loseEntries: overflow,
    redis: undefined,
  }
}

/** More text in one turn of the event loop than may wait for an edge. */
async function overflow(bus: Bus, outbox: Outbox): Promise<void> {
  const owner = await TestOwner.claim(bus, FLOODED_SHARD)
  const sessionId = await owner.spawn(outbox)
  await Promise.all(
    Array.from({ length: OUT_ENTRIES + 1 }, (_, offset) => owner.flush(sessionId, 'msg_1', offset, 'x')),
  )
}

const singleRedis = (): Store => redisStore('Redis', 1, () => ({ url: variable('TEST_REDIS_URL'), clusterNodes: [] }))

const redisCluster = (): Store =>
  redisStore('Redis Cluster', MAX_LANES, () => ({
    url: undefined,
    clusterNodes: variable('TEST_REDIS_CLUSTER_URLS')
      .split(',')
      .map((url) => new URL(url).host),
  }))

function redisStore(name: string, lanes: number, servers: () => Pick<RedisConfig, 'url' | 'clusterNodes'>): Store {
  const config = (): RedisConfig => ({ ...servers(), password: undefined, db: 0, connectTimeoutMs: 5_000 })
  let client: RedisClient
  return {
    name,
    isRedis: true,
    start: async () => {
      client = await connectCommands(config(), report)
    },
    stop: async () => disconnect(client),
    prepare: async () => {
      const cluster = `test-${randomUUID()}`
      const keys = new Lanes(cluster, lanes)
      return {
        connect: () => createRedisBus({ redis: config(), cluster, lanes, onError: report }),
        isLasting: true,
        loseEntries: async (_bus, outbox) => {
          await client.unlink(keys.lane(lanes - 1).outbox(outbox))
        },
        redis: {
          loseRings: async (owner, shard) => {
            await client.unlink(keys.ofShard(shard).bell(owner))
          },
          spoil: async (sessionId, part) => {
            const key = `${keys.sessionKey(sessionId)}:${part}`
            await client.unlink(key)
            await client.hset(key, 'of another', 'type')
          },
          keysOf: async (sessionId) => {
            const key = keys.sessionKey(sessionId)
            const parts = ['log', 'inbox', 'control', 'part', 'seen', 'seen-before', 'cold'].map((it) => `${key}:${it}`)
            const there = await Promise.all([key, ...parts].map((it) => client.exists(it)))
            return [key, ...parts].filter((_, index) => there[index] === 1)
          },
          remember: () => remember(client, cluster),
          pretendServer: async (shard, name) => {
            await client.hset(keys.ofShard(shard).shard(shard), 'store', name)
          },
          subscribersOf: async (sessionId) => (await client.hget(keys.sessionKey(sessionId), 'subs')) ?? '',
          outLength: (outbox, shard) => client.xlen(keys.ofShard(shard).outbox(outbox)),
        },
      }
    },
  }
}

/** A failover as the keys see it: they are what they were some writes ago. */
async function remember(client: RedisClient, cluster: string): Promise<() => Promise<void>> {
  const dumps = await Promise.all(
    (await keysOf(client, cluster)).map(async (key) => [key, await client.dumpBuffer(key)] as const),
  )
  return async () => {
    await Promise.all((await keysOf(client, cluster)).map((key) => client.unlink(key)))
    await Promise.all(dumps.map(([key, dump]) => dump && client.restore(key, 0, dump)))
  }
}

async function keysOf(client: RedisClient, cluster: string): Promise<string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  return (await Promise.all(nodes.map((node) => node.keys(`${cluster}:*`)))).flat()
}

function variable(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: the setup of the contract tests starts the server and sets it`)
  return value
}

/** A connection that fails is no failure of the test by itself; what the test waits for will tell. */
function report(error: Error): void {
  console.warn(`redis: ${error.message}`)
}
