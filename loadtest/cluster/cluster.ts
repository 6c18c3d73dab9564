/**
 * The cluster under load: real processes of the built program, every guarantee on.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'
import { ServiceProcess } from '../../src/chaos/service-process.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { DEFAULT_SHARD_COUNT } from '../../src/config/schema.js'
import type { Target } from '../generator/socket.js'
import type { Members } from '../measure/processes.js'
import { type Balancer, startBalancer } from './balancer.js'
import { type LoadStores, openLoadStores } from './stores.js'
import { mintTokens, newSecret } from './tokens.js'

/** The shards are dealt out within a second of the coordinator's start. */
const DEAL_TIMEOUT_MS = 30_000
const POLL_MS = 50

/**
 * What would otherwise be measured is the lock, not the path: limits of one principal are far above what the generator
 * sends, and as many sessions may work at a time as there are connections.
 */
const LIMITS = {
  DAEMON_RATE_LIMIT_MAX: '100000000',
  // Held and counted as ever, but never spent.
  TOKEN_BUDGET_DAILY: '1000000000000',
  TOKEN_BUDGET_WEEKLY: '1000000000000',
  TOKEN_BUDGET_MONTHLY: '1000000000000',
  TOKEN_BUDGET_SESSION: '1000000000000',
  DAEMON_AUTH_MAX_CONNECTIONS: '10000',
  DAEMON_MAX_SESSIONS: '100000',
}

export interface ClusterSize {
  readonly edges: number
  readonly workers: number
  /** Clients go through a load balancer, where there is one on this machine. */
  readonly balanced?: boolean
}

export interface LoadCluster {
  readonly stores: LoadStores
  readonly edges: readonly ServiceProcess[]
  readonly workers: readonly ServiceProcess[]
  /** Undefined when clients go to the edges themselves. */
  readonly balancer: Balancer | undefined
  /** Where clients go. */
  readonly targets: readonly Target[]
  readonly tokens: readonly string[]
  /** Redis, Postgres and every role. */
  readonly members: Members
}

/** What clients need to know of a service. */
export type LoadService = Pick<LoadCluster, 'edges' | 'targets' | 'tokens'>

/** One process that does everything, with its built-in database: nothing else is installed. */
export async function startStandalone(teardown: Teardown): Promise<LoadService> {
  const secret = newSecret()
  const nodes = new Nodes(teardown, { ...LIMITS, DAEMON_JWT_SECRET: secret })
  const node = nodes.start('all', 'standalone')
  await node.ready()
  return { edges: [node], targets: targetsOf([node]), tokens: mintTokens(secret) }
}

/** @throws Error when a process is not ready or the shards have no owners in time. `env` goes to every process. */
export async function startCluster(
  teardown: Teardown,
  size: ClusterSize,
  env: Readonly<Record<string, string>> = {},
  onLine?: (line: string) => void,
): Promise<LoadCluster> {
  const stores = await openLoadStores(teardown)
  const secret = newSecret()
  const settings = { ...stores.env, ...LIMITS, DAEMON_JWT_SECRET: secret, ...env }
  const nodes = new Nodes(teardown, settings, onLine)
  const workers = numbered(size.workers, (n) => nodes.start('worker', `worker-${n}`))
  const edges = numbered(size.edges, (n) => nodes.start('edge', `edge-${n}`))
  await Promise.all([...workers, ...edges].map((node) => node.ready()))
  // Last, so that its first round deals all shards evenly.
  const coordinator = nodes.start('coordinator', 'coordinator')
  await coordinator.ready()
  await shardsDealt(stores)
  const balancer = size.balanced ? await startBalancer(teardown, edges) : undefined
  const pids = (processes: readonly ServiceProcess[]): number[] => processes.map(({ pid }) => pid)
  return {
    ...{ stores, edges, workers, balancer, tokens: mintTokens(secret) },
    targets: targetsOf(balancer ? [balancer] : edges),
    members: {
      ...{ ...stores.members, worker: pids(workers), edge: pids(edges), coordinator: [coordinator.pid] },
      ...(balancer && { balancer: [balancer.pid] }),
    },
  }
}

/** The same for those who speak in addresses. */
export const urlsOf = ({ targets }: Pick<LoadCluster, 'targets'>): string[] =>
  targets.map(({ host, port }) => `ws://${host}:${port}`)

const targetsOf = (servers: readonly { readonly port: number }[]): Target[] =>
  servers.map(({ port }) => ({ host: '127.0.0.1', port }))

const numbered = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1))

/** Starts processes that are stopped with the run, each in a folder of its own. */
export class Nodes {
  readonly #teardown: Teardown
  readonly #env: Readonly<Record<string, string>>
  readonly #onLine: ((line: string) => void) | undefined
  readonly #folder = temporaryFolder()

  constructor(teardown: Teardown, env: Readonly<Record<string, string>>, onLine?: (line: string) => void) {
    this.#teardown = teardown
    this.#env = env
    this.#onLine = onLine
    teardown.add('the temporary folder', () => this.#folder.remove())
  }

  start(role: 'all' | 'edge' | 'worker' | 'coordinator', name: string): ServiceProcess {
    const folder = join(this.#folder.path, name)
    mkdirSync(folder)
    const env = { ...this.#env, WORKSPACE_ROOT: join(folder, 'workspaces') }
    const node = new ServiceProcess({ name, role, folder, env, ...(this.#onLine && { onLine: this.#onLine }) })
    this.#teardown.add(name, (hurry) => node.stop(hurry))
    return node
  }
}

async function shardsDealt(stores: LoadStores): Promise<void> {
  const deadline = performance.now() + DEAL_TIMEOUT_MS
  for (;;) {
    const assigned = await stores.assignedShards()
    if (assigned === DEFAULT_SHARD_COUNT) return
    if (performance.now() > deadline) {
      throw new Error(`the cluster is not ready: after ${DEAL_TIMEOUT_MS} ms ${assigned} shards have an owner`)
    }
    await sleep(POLL_MS)
  }
}
