/**
 * Private Redis servers for the demo and the tests: a single one, and a Redis Cluster on loopback.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { MIN_REDIS } from './binaries.js'
import { startContainer } from './container.js'
import { onFreePort, ServerProcess } from './server-process.js'
import { redisSource } from './source.js'
import { temporaryFolder } from './watchdog.js'

export interface RedisOptions {
  /** Append-only file, synced every second; default true, as the service expects it. */
  readonly appendonly?: boolean
  /** More arguments of redis-server, for example `['--maxmemory', '64mb']`. */
  readonly extraArgs?: readonly string[]
  /** Start a new server even when TEST_REDIS_URL names one; for tests that kill or fill it. */
  readonly own?: boolean
}

export interface RunningRedis {
  readonly url: string
  readonly port: number
  /** The server's process; undefined when it runs in a container or elsewhere. */
  readonly pid: number | undefined
  /** Signals the server; resolves once a fatal signal has worked. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts a killed or stopped server again, on the same port with the same data. */
  restart(): Promise<void>
  /** Ends the server and removes its files; may be called twice. */
  stop(): Promise<void>
}

export interface RunningRedisCluster {
  readonly urls: readonly string[]
  readonly masters: readonly RunningRedis[]
  stop(): Promise<void>
}

const TOTAL_SLOTS = 16_384
/** A master that is silent for this long is replaced; short, because tests wait for it. */
const NODE_TIMEOUT_MS = 2_000
const CLUSTER_READY_TIMEOUT_MS = 15_000
const CLUSTER_POLL_MS = 25
const PROBE_TIMEOUT_MS = 1_000
const DISCONNECT_TIMEOUT_MS = 50

/** Starts a Redis of our own, or takes the one that TEST_REDIS_URL names. Throws one sentence when there is no way to. */
export async function startRedis(options: RedisOptions = {}): Promise<RunningRedis> {
  const given = process.env.TEST_REDIS_URL
  if (given && !options.own) return givenRedis(given)
  const source = await redisSource()
  return source.kind === 'container'
    ? onFreePort((port) => startInContainer(port, redisArgs(port, '0.0.0.0', options)))
    : onFreePort((port) => startBinary(source.path, port, redisArgs(port, '127.0.0.1', options)))
}

/** Starts `masters` Redis Cluster masters that share all slots evenly, without replicas. Always servers of our own. */
export async function startRedisCluster(masters = 3): Promise<RunningRedisCluster> {
  const nodes = await Promise.all(Array.from({ length: masters }, startClusterNode))
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    await formCluster(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  return { urls: nodes.map((node) => node.url), masters: nodes, stop }
}

// Each node has its own bus port, because the default (port + 10,000) may lie beyond the last port or be taken.
const startClusterNode = (): Promise<RunningRedis> =>
  onFreePort((busPort) =>
    startRedis({
      own: true,
      extraArgs: [
        ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
        ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-config-file', 'nodes.conf'],
      ],
    }),
  )

function redisArgs(port: number, bind: string, options: RedisOptions): string[] {
  return [
    ...['--port', String(port), '--bind', bind, '--protected-mode', 'no', '--daemonize', 'no'],
    ...['--save', '', '--appendonly', options.appendonly === false ? 'no' : 'yes', '--appendfsync', 'everysec'],
    ...['--maxmemory-policy', 'noeviction', '--stream-node-max-bytes', '1024'],
    ...(options.extraArgs ?? []),
  ]
}

async function startBinary(file: string, port: number, args: readonly string[]): Promise<RunningRedis> {
  const folder = temporaryFolder()
  const data = join(folder.path, 'redis')
  mkdirSync(data)
  const url = `redis://127.0.0.1:${port}`
  const server = new ServerProcess({
    file,
    args: [...args, '--dir', data],
    folder: data,
    logFile: join(folder.path, 'redis.log'),
    endSignal: 'KILL',
    probe: () => probe(url),
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    folder.remove()
  }
  await server.start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    url,
    port,
    get pid() {
      return server.pid
    },
    kill: (signal) => server.kill(signal),
    restart: async () => {
      await server.stop()
      await server.start()
    },
    stop,
  }
}

async function startInContainer(port: number, args: readonly string[]): Promise<RunningRedis> {
  const url = `redis://127.0.0.1:${port}`
  if (args.includes('--cluster-enabled')) throw new Error('a Redis Cluster needs redis-server on this machine')
  const container = await startContainer({
    image: 'redis:7',
    command: ['redis-server', ...args],
    port,
    probe: () => probe(url),
  })
  return { url, port, pid: undefined, ...container }
}

async function givenRedis(url: string): Promise<RunningRedis> {
  await probe(url)
  const refuse = async (): Promise<never> => {
    throw new Error(`${url} was given by TEST_REDIS_URL and is not ours to kill; ask for a server of your own`)
  }
  const port = Number(new URL(url).port || 6379)
  return { url, port, pid: undefined, kill: refuse, restart: refuse, stop: async () => {} }
}

/** Throws unless a Redis that is new enough answers at `url` and has loaded its data. */
async function probe(url: string): Promise<void> {
  await withAdmin(url, async (redis) => {
    const info = await redis.info()
    const version = /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown'
    if (!(Number.parseInt(version, 10) >= MIN_REDIS))
      throw new Error(`Redis at ${url} is ${version}; ${MIN_REDIS} is needed`)
    if (!info.includes('loading:0')) throw new Error(`Redis at ${url} is loading its data`)
  })
}

async function formCluster(nodes: readonly RunningRedis[]): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const first = Math.ceil((index * TOTAL_SLOTS) / nodes.length)
    const last = Math.ceil(((index + 1) * TOTAL_SLOTS) / nodes.length) - 1
    await withAdmin(node.url, (redis) => redis.call('CLUSTER', 'ADDSLOTSRANGE', first, last))
    await withAdmin(node.url, (redis) => redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1))
  }
  await Promise.all(nodes.slice(1).map((node) => introduce(node, nodes[0])))
  await Promise.all(nodes.map((node) => waitForCluster(node.url, nodes.length)))
}

async function introduce(node: RunningRedis, first: RunningRedis | undefined): Promise<void> {
  if (!first) return
  const busPort = await withAdmin(first.url, async (redis) => (await redis.config('GET', 'cluster-port')) as string[])
  await withAdmin(node.url, (redis) => redis.call('CLUSTER', 'MEET', '127.0.0.1', first.port, busPort[1] ?? ''))
}

async function waitForCluster(url: string, size: number): Promise<void> {
  const deadline = performance.now() + CLUSTER_READY_TIMEOUT_MS
  for (;;) {
    const info = await withAdmin(url, async (redis) => String(await redis.call('CLUSTER', 'INFO')))
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`)) return
    if (performance.now() > deadline) throw new Error(`the Redis Cluster at ${url} did not form: ${info}`)
    await sleep(CLUSTER_POLL_MS)
  }
}

async function withAdmin<T>(url: string, action: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
    // Otherwise a connection that is closed already holds the process for two seconds more.
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
