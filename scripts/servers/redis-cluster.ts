/**
 * A private Redis Cluster on loopback: some masters that share all slots evenly, each with a replica when that is asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { findRedis } from '../../src/chaos/servers/binaries.js'
import { startContainer } from '../../src/chaos/servers/container.js'
import { probeRedis, withRedis } from '../../src/chaos/servers/redis-admin.js'
import { type RunningRedis, redisArgs, startRedis } from '../../src/chaos/servers/redis-server.js'
import { freePort, onFreePort } from '../../src/chaos/servers/server-process.js'
import { redisSource } from '../../src/chaos/servers/source.js'
import { installUnlessFound } from './install.js'

export interface RunningRedisCluster {
  /** One URL per master. */
  readonly urls: readonly string[]
  /** Ends all masters and removes their files; may be called twice. */
  stop(): Promise<void>
}

const TOTAL_SLOTS = 16_384
/** A master that is silent for this long counts as lost; short, because tests wait for it. */
const NODE_TIMEOUT_MS = 2_000
/** Redis itself waits two seconds before it calls a new cluster ready. */
const READY_TIMEOUT_MS = 15_000
const POLL_MS = 25

interface Masters {
  readonly ports: readonly number[]
  readonly busPorts: readonly number[]
  stop(): Promise<void>
}

export interface ReplicatedRedisCluster extends RunningRedisCluster {
  readonly masters: readonly RunningRedis[]
  readonly replicas: readonly RunningRedis[]
}

/** The same with a replica for each master, as processes of this machine: for tests that kill a master. */
export async function startReplicatedCluster(masters = 3): Promise<ReplicatedRedisCluster> {
  const nodes = await startNodes(2 * masters)
  const stop = () => stopNodes(nodes)
  const [primaries, replicas] = [nodes.slice(0, masters), nodes.slice(masters)]
  try {
    await joinMasters(portsOf(primaries), busPortsOf(primaries))
    await Promise.all(replicas.map((replica, index) => joinReplica(replica, primaries[index] ?? replica)))
    await Promise.all(nodes.map(({ server }) => waitUntilReady(server.url, nodes.length)))
  } catch (error) {
    await stop()
    throw error
  }
  const [ours, theirs] = [primaries, replicas].map((some) => some.map(({ server }) => server))
  return { urls: portsOf(primaries).map(urlOf), masters: ours ?? [], replicas: theirs ?? [], stop }
}

/** Introduces a node and makes it follow a master, as soon as it has heard of it. */
async function joinReplica(replica: Node, master: Node): Promise<void> {
  const id = await withRedis(master.server.url, async (redis) => String(await redis.call('CLUSTER', 'MYID')))
  const deadline = performance.now() + READY_TIMEOUT_MS
  await withRedis(replica.server.url, async (redis) => {
    await redis.call('CLUSTER', 'MEET', '127.0.0.1', master.server.port, master.busPort)
    for (;;) {
      const followed = await redis.call('CLUSTER', 'REPLICATE', id).catch((error: unknown) => error)
      if (followed === 'OK') return
      if (performance.now() > deadline) throw new Error('a replica could not join its master', { cause: followed })
      await sleep(POLL_MS)
    }
  })
  for (;;) {
    const info = await withRedis(replica.server.url, (redis) => redis.info('replication'))
    if (info.includes('master_link_status:up')) return
    if (performance.now() > deadline) throw new Error(`a replica does not follow its master: ${info}`)
    await sleep(POLL_MS)
  }
}

/** Starts a Redis Cluster of our own, whatever the environment names. Throws one sentence when there is no way to. */
export async function startRedisCluster(masters = 3): Promise<RunningRedisCluster> {
  await installUnlessFound(findRedis)
  const source = await redisSource()
  const { ports, busPorts, stop } =
    source.kind === 'container' ? await inContainer(masters) : await asProcesses(masters)
  const urls = ports.map(urlOf)
  try {
    await joinMasters(ports, busPorts)
    await Promise.all(urls.map((url) => waitUntilReady(url, masters)))
  } catch (error) {
    await stop()
    throw error
  }
  return { urls, stop }
}

// Each master has a bus port of its own, because the default (port + 10,000) may lie beyond the last port or be taken.
async function asProcesses(count: number): Promise<Masters> {
  const nodes = await startNodes(count)
  return { ports: portsOf(nodes), busPorts: busPortsOf(nodes), stop: () => stopNodes(nodes) }
}

interface Node {
  readonly busPort: number
  readonly server: RunningRedis
}

const startNodes = (count: number): Promise<Node[]> =>
  Promise.all(
    Array.from({ length: count }, () =>
      onFreePort(async (busPort) => ({ busPort, server: await startRedis({ extraArgs: clusterArgs(busPort) }) })),
    ),
  )

const portsOf = (nodes: readonly Node[]): number[] => nodes.map(({ server }) => server.port)
const busPortsOf = (nodes: readonly Node[]): number[] => nodes.map(({ busPort }) => busPort)

async function stopNodes(nodes: readonly Node[]): Promise<void> {
  await Promise.all(nodes.map(({ server }) => server.stop()))
}

// All in one container, where the address that they tell each other and us, 127.0.0.1, is right inside and outside.
async function inContainer(count: number): Promise<Masters> {
  const ports = await Promise.all(Array.from({ length: count }, freePort))
  const busPorts = await Promise.all(Array.from({ length: count }, freePort))
  const commands = ports.map((port, index) => {
    const args = redisArgs(port, '0.0.0.0', { extraArgs: clusterArgs(busPorts[index] ?? 0) })
    const quoted = [...args, '--cluster-announce-ip', '127.0.0.1', '--dir', `/data/${port}`].map((arg) => `'${arg}'`)
    return `mkdir -p /data/${port} && redis-server ${quoted.join(' ')}`
  })
  const container = await startContainer({
    image: 'redis:7',
    command: ['sh', '-c', `${commands.map((command) => `(${command}) &`).join(' ')} wait`],
    ports,
    probe: async () => {
      await Promise.all(ports.map((port) => probeRedis(urlOf(port))))
    },
  })
  return { ports, busPorts, stop: container.stop }
}

const urlOf = (port: number): string => `redis://127.0.0.1:${port}`

const clusterArgs = (busPort: number): string[] => [
  ...['--cluster-enabled', 'yes', '--cluster-port', String(busPort)],
  ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-config-file', 'nodes.conf'],
  ...['--repl-diskless-sync-delay', '0'],
]

async function joinMasters(ports: readonly number[], busPorts: readonly number[]): Promise<void> {
  for (const [index, port] of ports.entries()) {
    const first = Math.ceil((index * TOTAL_SLOTS) / ports.length)
    const last = Math.ceil(((index + 1) * TOTAL_SLOTS) / ports.length) - 1
    await withRedis(urlOf(port), async (redis) => {
      await redis.call('CLUSTER', 'ADDSLOTSRANGE', first, last)
      await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
      // Every pair is introduced, because gossip among so few takes seconds to tell of a third.
      for (const [other, busPort] of busPorts.slice(0, index).entries()) {
        await redis.call('CLUSTER', 'MEET', '127.0.0.1', ports[other] ?? 0, busPort)
      }
    })
  }
}

async function waitUntilReady(url: string, size: number): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    const info = await withRedis(url, async (redis) => String(await redis.call('CLUSTER', 'INFO')))
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}`)) return
    if (performance.now() > deadline) throw new Error(`the Redis Cluster at ${url} did not form: ${info}`)
    await sleep(POLL_MS)
  }
}
