/**
 * The product on the official images of its stores, where a Docker daemon and the images are to be had.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { GenericContainer, Wait } from 'testcontainers'
import { expect, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../src/bus/redis-bus.js'
import { openDatabase } from '../../src/storage/database.js'
import { migrate } from '../../src/storage/migrate.js'
import { ShardAssignments } from '../../src/storage/shard-assignments.js'
import { idsOf, logOf, TestEdge, TestOwner } from '../support/bus-actors.js'

const REDIS = 'redis:8'
const POSTGRES = 'pgvector/pgvector:pg17'
const START_MS = 120_000

// The reaper is an image of its own, which may not be there; every container here is stopped by its test.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'

/** Whether this machine has the image: nothing is pulled for a test. */
async function has(image: string): Promise<boolean> {
  try {
    await promisify(execFile)('docker', ['image', 'inspect', image])
    return true
  } catch {
    console.warn(`skipped: no Docker daemon here, or it does not have the image ${image}`)
    return false
  }
}

test.runIf(await has(REDIS))(
  `sessions are written and read on ${REDIS}`,
  async () => {
    const command = ['redis-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
    const redis = await new GenericContainer(REDIS).withCommand(command).withExposedPorts(6379).start()
    onTestFinished(async () => void (await redis.stop()))
    const url = `redis://${redis.getHost()}:${redis.getMappedPort(6379)}`
    const config = { url, clusterNodes: [], sentinels: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
    const bus = await createRedisBus({ redis: config, cluster: 'images', lanes: 1, onError: console.warn })
    onTestFinished(() => bus.stop())
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, 3)

    const sessionId = await owner.spawn(edge.name)
    await owner.append(sessionId, 3)

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-1', '1-2', '1-3'])
  },
  START_MS,
)

test.runIf(await has(POSTGRES))(
  `the tables are made and shards are assigned on ${POSTGRES}`,
  async () => {
    const postgres = await new GenericContainer(POSTGRES)
      .withEnvironment({ POSTGRES_PASSWORD: 'secret' })
      .withExposedPorts(5432)
      // By TCP: the server that only makes the database listens on a socket file alone.
      .withHealthCheck({
        test: ['CMD', 'pg_isready', '-h', '127.0.0.1', '-U', 'postgres'],
        ...{ interval: 500, timeout: 3_000, retries: 120 },
      })
      .withWaitStrategy(Wait.forHealthCheck())
      .start()
    onTestFinished(async () => void (await postgres.stop()))
    const url = `postgres://postgres:secret@${postgres.getHost()}:${postgres.getMappedPort(5432)}/postgres`
    const database = await openDatabase({ kind: 'postgres', url, poolSize: 2, connectTimeoutMs: 5_000 })
    onTestFinished(() => database.close())

    await migrate(database)
    const assignments = new ShardAssignments(database)
    await assignments.ensureShards(4)
    await assignments.assign([{ shard: 2, expectedEpoch: 0, owner: 'a@1' }], undefined)

    expect(await assignments.find(2)).toMatchObject({ owner: 'a@1', epoch: 1, state: 'assigned' })
  },
  START_MS,
)
