/**
 * The nodes of a fault run: real processes of the service, each in a folder of its own, with its own way to the stores
 * where faults need one. A node that is started again keeps its name, its port and its files.
 */
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import type { NodeId } from '../protocol/ids.js'
import { TcpProxy } from './proxy.js'
import { freePort } from './servers/server-process.js'
import { ServiceProcess } from './service-process.js'
import type { ChaosStores } from './stores.js'
import type { Teardown } from './teardown.js'

export type NodeRole = 'edge' | 'worker' | 'coordinator'

/** Many processes share a server that may be small. */
const POOL_SIZE = '4'
/** What is tested is not the door: as much may come in as the load sends. */
const LIMITS = {
  DAEMON_RATE_LIMIT_ENABLED: 'false',
  // The fake provider counts letters for tokens: no run may end for lack of a budget.
  TOKEN_BUDGET_DAILY: '1000000000000',
  TOKEN_BUDGET_WEEKLY: '1000000000000',
  TOKEN_BUDGET_MONTHLY: '1000000000000',
  TOKEN_BUDGET_SESSION: '1000000000000',
  DAEMON_AUTH_MAX_CONNECTIONS: '100000',
  DAEMON_MAX_SESSIONS: '2000',
}
/** A worker that is told to leave lets its turns end for so long; the load's turns take a few seconds. */
const DRAIN_TIMEOUT_MS = '20000'

/** The node's own ways to the stores. */
export interface Paths {
  readonly redis: TcpProxy
  readonly postgres: TcpProxy
}

export interface ChaosNode {
  readonly name: string
  readonly role: NodeRole
  readonly folder: string
  /** Of an edge: kept over restarts, so that clients find it again. */
  readonly port: number
  readonly paths: Paths | undefined
  readonly log: WriteStream
  process: ServiceProcess
}

export interface NodesOptions {
  readonly folder: string
  readonly stores: ChaosStores
  readonly teardown: Teardown
  /** Each node reaches the stores through proxies of its own. */
  readonly proxied: boolean
  /** Settings of one start; `token` names it. */
  readonly env: (token: string) => Readonly<Record<string, string>>
}

export class Nodes {
  readonly #options: NodesOptions
  readonly #nodes = new Map<string, ChaosNode>()
  /** Node ids by the token of their start. */
  readonly #tokens = new Map<string, ServiceProcess>()
  #starts = 0

  constructor(options: NodesOptions) {
    this.#options = options
    options.teardown.add('the nodes', (hurry) => this.stop(hurry))
  }

  all(role?: NodeRole): ChaosNode[] {
    return [...this.#nodes.values()].filter((node) => role === undefined || node.role === role)
  }

  running(role?: NodeRole): ChaosNode[] {
    return this.all(role).filter(({ process }) => process.running)
  }

  byId(id: NodeId): ChaosNode | undefined {
    return this.all().find(({ process }) => process.node === id)
  }

  /** The node whose start was given this token. */
  idOfToken(token: string): NodeId | undefined {
    return this.#tokens.get(token)?.node || undefined
  }

  /** Starts a new node. Resolves when it is ready. */
  async add(role: NodeRole, name: string, env: Readonly<Record<string, string>> = {}): Promise<ChaosNode> {
    const folder = join(this.#options.folder, name)
    mkdirSync(folder, { recursive: true })
    const port = role === 'edge' ? await freePort() : 0
    const paths = this.#options.proxied ? await this.#openPaths() : undefined
    const log = createWriteStream(join(folder, 'log.jsonl'), { flags: 'a' })
    const half = { name, role, folder, port, paths, log }
    const node: ChaosNode = { ...half, process: this.#start(half, env) }
    this.#nodes.set(name, node)
    await node.process.ready()
    return node
  }

  /** Starts a node that has ended anew. Resolves when it is ready. */
  async restart(node: ChaosNode, env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (node.process.running) throw new Error(`${node.name} still runs`)
    node.process = this.#start(node, env)
    await node.process.ready()
  }

  /** Takes a node that has ended out of the books. */
  async remove(node: ChaosNode): Promise<void> {
    this.#nodes.delete(node.name)
    await this.#close(node)
  }

  async stop(hurry = false): Promise<void> {
    const nodes = this.all()
    // Frozen processes hear no signal but one.
    for (const { process } of nodes) process.signal('SIGCONT')
    await Promise.all(nodes.map(({ process }) => process.stop(hurry)))
    await Promise.all(nodes.map((node) => this.#close(node)))
  }

  async #close({ log, paths }: ChaosNode): Promise<void> {
    log.end()
    await Promise.all([paths?.redis.stop(), paths?.postgres.stop()])
  }

  async #openPaths(): Promise<Paths> {
    const { stores } = this.#options
    const [redis, postgres] = await Promise.all([TcpProxy.start(stores.redisPort), TcpProxy.start(stores.databasePort)])
    return { redis, postgres }
  }

  #start(node: Omit<ChaosNode, 'process'>, env: Readonly<Record<string, string>>): ServiceProcess {
    const { stores } = this.#options
    const token = `start-${++this.#starts}`
    const { redis, postgres } = node.paths ?? {}
    const process = new ServiceProcess({
      name: node.name,
      role: node.role,
      folder: node.folder,
      env: {
        ...LIMITS,
        DRAIN_TIMEOUT: DRAIN_TIMEOUT_MS,
        DATABASE_POOL_SIZE: POOL_SIZE,
        CLUSTER_NAME: stores.clusterName,
        ...stores.redisSettings(redis),
        DATABASE_URL: postgres ? postgres.through(stores.databaseUrl) : stores.databaseUrl,
        WORKSPACE_ROOT: join(node.folder, 'workspaces'),
        DAEMON_PORT: String(node.port),
        ...this.#options.env(token),
        ...env,
      },
      onLine: (line) => node.log.write(`${line}\n`),
    })
    this.#tokens.set(token, process)
    return process
  }
}
