/**
 * A control plane of its own for one test: a fresh database, a cluster name nobody else uses, and a client for Redis.
 */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { onTestFinished } from 'vitest'
import { Beats } from '../../../src/cluster/beats.js'
import type { ControlLog } from '../../../src/cluster/cluster.js'
import { RedisControlChannel } from '../../../src/cluster/control-channel.js'
import { RedisShardLoads } from '../../../src/cluster/shard-loads.js'
import type { NodeId } from '../../../src/protocol/ids.js'
import { connectBlocking, connectCommands, disconnect, type RedisConfig } from '../../../src/redis/connect.js'
import { primaryIdentity } from '../../../src/redis/primary.js'
import { ClusterRequests } from '../../../src/storage/cluster-requests.js'
import { openDatabase } from '../../../src/storage/database.js'
import { LeaderLease } from '../../../src/storage/leader.js'
import { migrate } from '../../../src/storage/migrate.js'
import { Nodes } from '../../../src/storage/nodes.js'
import { ShardAssignments } from '../../../src/storage/shard-assignments.js'

export type Plane = Awaited<ReturnType<typeof openPlane>>

/** Everything is closed and dropped after the test. */
export async function openPlane(redisUrl = address('TEST_REDIS_URL')) {
  const databaseUrl = await freshDatabase()
  const database = await openDatabase({ kind: 'postgres', url: databaseUrl, poolSize: 4, connectTimeoutMs: 5_000 })
  onTestFinished(() => database.close())
  await migrate(database)
  const redisConfig = redisAt(redisUrl)
  const redis = await connectCommands(redisConfig, () => undefined)
  onTestFinished(() => disconnect(redis))
  const cluster = `t-${randomUUID().slice(0, 8)}`
  const log = memoryLog()
  const channel = (id: NodeId) =>
    new RedisControlChannel({
      ...{ id, cluster, redis, log },
      connectReader: () => connectBlocking(redisConfig, () => undefined),
    })
  return {
    ...{ cluster, database, databaseUrl, redis, redisConfig, log, channel },
    beats: new Beats(redis, cluster),
    primary: () => primaryIdentity(redis),
    shardLoads: new RedisShardLoads(redis, cluster),
    nodes: new Nodes(database),
    assignments: new ShardAssignments(database),
    leader: new LeaderLease(database),
    requests: new ClusterRequests(database),
  }
}

export const redisAt = (url: string): RedisConfig => ({
  url,
  clusterNodes: [],
  password: undefined,
  db: 0,
  connectTimeoutMs: 2_000,
})

/** Keeps its lines for assertions. */
export function memoryLog() {
  const lines: string[] = []
  const write = (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, info: write, warn: write, error: write } satisfies ControlLog & { lines: string[] }
}

async function freshDatabase(): Promise<string> {
  const name = `t_${randomUUID().replaceAll('-', '')}`
  await asAdmin(`create database ${name}`)
  onTestFinished(() => asAdmin(`drop database ${name} with (force)`))
  const url = new URL(address('TEST_DATABASE_URL'))
  url.pathname = name
  return url.href
}

async function asAdmin(statement: string): Promise<void> {
  const url = address('TEST_DATABASE_URL')
  const database = await openDatabase({ kind: 'postgres', url, poolSize: 1, connectTimeoutMs: 5_000 })
  await sql.raw(statement).execute(database.sql)
  await database.close()
}

function address(variable: string): string {
  const url = process.env[variable]
  if (!url)
    throw new Error(`${variable} is missing: run these tests in the project "contract", whose setup provides it`)
  return url
}
