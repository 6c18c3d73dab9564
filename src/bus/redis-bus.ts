/**
 * The bus over Redis ≥ 7.0 (or Valkey ≥ 7.2), single server, Sentinel or Cluster.
 */
import { connectBlocking, connectCommands, disconnect, type RedisClient, type RedisConfig } from '../redis/connect.js'
import { checkServers } from '../redis/server-check.js'
import type { Bus } from './bus.js'
import { RedisCommandStream } from './command-stream.js'
import { RedisEdgeStream } from './edge-stream.js'
import { RedisHandover } from './handover.js'
import { Lanes } from './lanes.js'
import { RedisSessionLog } from './session-log.js'
import { RedisStoreFailover } from './store-failover.js'
import { RedisTimers } from './timers.js'

export interface RedisBusOptions {
  readonly redis: RedisConfig
  /** CLUSTER_NAME: prefix of every key. */
  readonly cluster: string
  /** 1 on a single Redis, 16 on Redis Cluster; fixed for the life of the cluster. */
  readonly lanes: number
  /** Told of connection errors, which are retried by themselves. */
  readonly onError: (error: Error) => void
  /** Told what is wrong with the servers and can be lived with. Without it they are not looked at. */
  readonly onWarning?: (sentence: string) => void
}

/** @throws the connection's error when Redis cannot be reached, or one sentence for one that must not be used. */
export async function createRedisBus(options: RedisBusOptions): Promise<Bus> {
  const lanes = new Lanes(options.cluster, options.lanes)
  const clients: RedisClient[] = []
  const keep = async (connecting: Promise<RedisClient>): Promise<RedisClient> => {
    const client = await connecting
    clients.push(client)
    return client
  }
  const connectReader = () => keep(connectBlocking(options.redis, options.onError))
  // Commits must not wait behind the replies to what edges and queries ask.
  const writes = await keep(connectCommands(options.redis, options.onError))
  if (options.onWarning) for (const sentence of await checked(writes)) options.onWarning(sentence)
  return {
    commands: new RedisCommandStream(writes, lanes, connectReader),
    log: new RedisSessionLog(writes, lanes),
    timers: new RedisTimers(writes, lanes),
    outboxes: new RedisEdgeStream(writes, lanes, connectReader),
    handover: new RedisHandover(writes, lanes),
    failover: new RedisStoreFailover(writes, lanes),
    ping: async () => {
      await writes.ping()
    },
    stop: async () => {
      for (const client of clients) disconnect(client)
    },
  }
}

async function checked(client: RedisClient): Promise<readonly string[]> {
  try {
    return await checkServers(client)
  } catch (error) {
    disconnect(client)
    throw error
  }
}
