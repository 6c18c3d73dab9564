/**
 * Private Redis and PostgreSQL servers for the demo and the tests: those that the environment names, or our own, found or
 * installed, started on free ports in a temporary folder, and gone when their starter is gone, even by kill -9.
 */
import { findPostgres, findRedis } from '../../src/chaos/servers/binaries.js'
import * as postgres from '../../src/chaos/servers/postgres-server.js'
import * as redis from '../../src/chaos/servers/redis-server.js'
import { givenPostgres, givenRedis } from './given.js'
import { installUnlessFound } from './install.js'

export type { RunningPostgres } from '../../src/chaos/servers/postgres-server.js'
export { type RunningSentinel, type SentinelOptions, startSentinel } from '../../src/chaos/servers/redis-sentinel.js'
export type { RunningRedis } from '../../src/chaos/servers/redis-server.js'
export {
  type ReplicatedRedisCluster,
  type RunningRedisCluster,
  startRedisCluster,
  startReplicatedCluster,
} from './redis-cluster.js'

interface Own {
  /** Start a new server even when the environment names one; for tests that kill or fill it. */
  readonly own?: boolean
}

export type RedisOptions = redis.RedisOptions & Own
export type PostgresOptions = postgres.PostgresOptions & Own

/** Starts a Redis of our own, or takes the one that TEST_REDIS_URL names. Throws one sentence when there is no way to. */
export async function startRedis({ own, ...options }: RedisOptions = {}): Promise<redis.RunningRedis> {
  const given = process.env.TEST_REDIS_URL
  if (given && !own) return givenRedis(given)
  await installUnlessFound(findRedis)
  return redis.startRedis(options)
}

/** The same for PostgreSQL and TEST_DATABASE_URL. */
export async function startPostgres({ own, ...options }: PostgresOptions = {}): Promise<postgres.RunningPostgres> {
  const given = process.env.TEST_DATABASE_URL
  if (given && !own) return givenPostgres(given)
  await installUnlessFound(findPostgres)
  return postgres.startPostgres(options)
}
