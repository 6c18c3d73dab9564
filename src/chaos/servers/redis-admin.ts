/**
 * Short conversations with a Redis server while it is being set up.
 */
import { Redis } from 'ioredis'
import { MIN_REDIS } from './binaries.js'

const TIMEOUT_MS = 1_000
/** Otherwise a connection that is closed already holds the process for two seconds more. */
const DISCONNECT_TIMEOUT_MS = 50

/** Connects, does one thing, and disconnects; throws when the server does not answer within a second. */
export async function withRedis<T>(url: string, action: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  })
  redis.on('error', () => {}) // The same error rejects connect() below.
  try {
    await redis.connect()
    return await action(redis)
  } finally {
    redis.disconnect()
  }
}

/** Throws unless a Redis that is new enough answers at `url` and has loaded its data. */
export async function probeRedis(url: string): Promise<void> {
  const info = await withRedis(url, (redis) => redis.info())
  const version = /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown'
  if (!(Number.parseInt(version, 10) >= MIN_REDIS)) {
    throw new Error(`Redis at ${url} is ${version}; ${MIN_REDIS} is needed`)
  }
  if (!info.includes('loading:0')) throw new Error(`Redis at ${url} is loading its data`)
}
