/**
 * Connections to Redis, with the settings that correctness needs (design: docs/guarantees.md): nothing is queued while
 * offline, nothing is resent behind our back, a connection that does not answer is ended. What to retry is decided by the
 * caller.
 */
import { Cluster, Redis } from 'ioredis'
import { watch } from './half-dead.js'

export interface SentinelConfig {
  /** `host:port` of the Sentinels. */
  readonly nodes: readonly string[]
  /** The name under which they know the primary. */
  readonly master: string
  readonly password: string | undefined
}

export interface RedisConfig {
  /** `redis://…`; ignored when `clusterNodes` or `sentinel` is given. */
  readonly url: string | undefined
  /** `host:port` of some nodes of a Redis Cluster. */
  readonly clusterNodes: readonly string[]
  readonly sentinel?: SentinelConfig
  readonly password: string | undefined
  readonly db: number
  readonly connectTimeoutMs: number
}

export type RedisClient = Redis | Cluster

/** A connection that is ended need not say goodbye: the other side may be out of reach. */
const GOODBYE_MS = 100
const RECONNECT_FIRST_MS = 20
const RECONNECT_MAX_MS = 500

const reconnectDelay = (attempt: number): number => Math.min(RECONNECT_FIRST_MS * 2 ** (attempt - 1), RECONNECT_MAX_MS)

interface Purpose {
  /** Gathers the commands of one tick into one write. */
  readonly pipelined: boolean
  /** Waits for Redis as long as it takes. */
  readonly patient?: true
}

const options = (config: RedisConfig, purpose: Purpose) => ({
  db: config.db,
  connectTimeout: config.connectTimeoutMs,
  disconnectTimeout: GOODBYE_MS,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: purpose.pipelined,
  // Scripts are gathered by their callers (script-batch.ts), or come alone: waiting for a pipeline only delays them. A ping
  // that fails within a pipeline rejects a promise which nobody holds.
  autoPipeliningIgnoredCommands: ['evalsha', 'ping'],
  retryStrategy: reconnectDelay,
  reconnectOnError: isDemoted,
  lazyConnect: true,
  ...(config.password !== undefined && { password: config.password }),
  ...(purpose.patient && { enableOfflineQueue: true, maxRetriesPerRequest: null }),
})

/** What a server says that was the primary and is a replica now: whoever connects anew finds the other one. */
const isDemoted = ({ message }: Error): boolean => message.startsWith('READONLY') || message.startsWith('UNBLOCKED')

function createClient(config: RedisConfig, purpose: Purpose): RedisClient {
  if (config.sentinel) return new Redis({ ...options(config, purpose), ...sentinelOptions(config.sentinel) })
  if (config.clusterNodes.length === 0) return new Redis(config.url ?? '', options(config, purpose))
  return new Cluster(config.clusterNodes.map(address), {
    lazyConnect: true,
    enableOfflineQueue: purpose.patient ?? false,
    enableAutoPipelining: purpose.pipelined,
    autoPipeliningIgnoredCommands: ['evalsha', 'ping'],
    clusterRetryStrategy: reconnectDelay,
    redisOptions: options(config, { ...purpose, pipelined: false }),
  })
}

const address = (node: string): { readonly host: string; readonly port: number } => {
  const colon = node.lastIndexOf(':')
  return { host: node.slice(0, colon), port: Number(node.slice(colon + 1)) }
}

// The primary is asked for its role when a connection begins. Sentinel ends the connections of one that it demotes.
const sentinelOptions = ({ nodes, master, password }: SentinelConfig) => ({
  sentinels: nodes.map(address),
  name: master,
  role: 'master' as const,
  sentinelRetryStrategy: reconnectDelay,
  ...(password !== undefined && { sentinelPassword: password }),
})

/** Leaves a server that has become a replica; replies that are still to come are lost. */
export function leaveDemoted(client: RedisClient): void {
  if (client instanceof Redis && client.status === 'ready') client.disconnect(true)
}

/**
 * Connects a client for commands and scripts. Errors of the connection go to `onError`: ioredis would print them.
 * @throws the connection's error when the first attempt fails.
 */
export async function connectCommands(config: RedisConfig, onError: (error: Error) => void): Promise<RedisClient> {
  const client = createClient(config, { pipelined: true })
  watch(client)
  return await connect(client, onError)
}

/** Connects a client of its own for blocking reads, which would hold up everything behind them. */
export async function connectBlocking(config: RedisConfig, onError: (error: Error) => void): Promise<RedisClient> {
  return await connect(createClient(config, { pipelined: false }), onError)
}

/** Connects a client for BullMQ, which repeats what it must and wants to be kept waiting while Redis is away. */
export async function connectPatient(config: RedisConfig, onError: (error: Error) => void): Promise<RedisClient> {
  return await connect(createClient(config, { pipelined: false, patient: true }), onError)
}

async function connect(client: RedisClient, onError: (error: Error) => void): Promise<RedisClient> {
  client.on('error', onError)
  await client.connect()
  if (client instanceof Cluster && client.status !== 'ready') {
    await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  }
  return client
}

/** Closes at once; replies that are still to come are lost. */
export function disconnect(client: RedisClient): void {
  client.disconnect()
}
