/**
 * Redis and PostgreSQL of a fault run: private servers as durable as production, with a replica that follows through a
 * proxy where a failover is asked for. Servers that the user names are used as they are, by runs that do not harm them.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { NodeId } from '../protocol/ids.js'
import type { TcpProxy } from './proxy.js'
import { FAST_COPY, linkedReplica, type Replica, watchedReplica } from './replicas.js'
import { type RunningPostgres, startPostgres } from './servers/postgres-server.js'
import { type RunningSentinel, startSentinel } from './servers/redis-sentinel.js'
import { type RunningRedis, startRedis } from './servers/redis-server.js'
import type { Teardown } from './teardown.js'

const MAX_CONNECTIONS = 3
/** Our own questions must not hang on a server that a fault has frozen. */
const QUERY_TIMEOUT_MS = 3_000
/** The name under which clients ask a Sentinel for the primary. */
const SENTINEL_NAME = 'chaos'
/** A server on a busy machine is silent for a second now and then. */
const SENTINEL_DOWN_AFTER_MS = 2_000

export interface StoreOptions {
  readonly redisUrl?: string
  readonly databaseUrl?: string
  /** Keep a replica of Redis, for failovers. */
  readonly replica: boolean
  /** Keep a Sentinel as well, by which nodes find Redis and which fails over. */
  readonly sentinel: boolean
}

/** What is read from when a run is judged. */
export type ReadStores = Pick<ChaosStores, 'clusterName' | 'redisUrl' | 'databaseUrl' | 'query'>

export class ChaosStores {
  readonly clusterName = `chaos_${randomBytes(4).toString('hex')}`
  /** Of the servers that we started ourselves; undefined for those of the user. */
  postgres: RunningPostgres | undefined
  #primary: RunningRedis | undefined
  #replica: Replica | undefined
  #sentinel: RunningSentinel | undefined
  #redisUrl = ''
  #databaseUrl = ''
  #pool: pg.Pool | undefined
  readonly #teardown: Teardown

  private constructor(teardown: Teardown) {
    this.#teardown = teardown
  }

  static async open(teardown: Teardown, options: StoreOptions): Promise<ChaosStores> {
    const stores = new ChaosStores(teardown)
    await Promise.all([stores.#openRedis(options), stores.#openPostgres(options)])
    return stores
  }

  get redisUrl(): string {
    return this.#redisUrl
  }

  get redisPort(): number {
    return Number(new URL(this.#redisUrl).port || 6379)
  }

  get databaseUrl(): string {
    return this.#databaseUrl
  }

  get databasePort(): number {
    return Number(new URL(this.#databaseUrl).port || 5432)
  }

  /** The server that takes writes. @throws Error when it is the user's. */
  get primary(): RunningRedis {
    if (!this.#primary) throw new Error('this Redis was given by --redis-url and is not ours to harm')
    return this.#primary
  }

  /** @throws Error when this run keeps none. */
  get replica(): Replica {
    if (!this.#replica) throw new Error('this run keeps no replica')
    return this.#replica
  }

  /** Settings by which a node finds Redis; `proxy` stands in its way, unless a Sentinel shows the way. */
  redisSettings(proxy: TcpProxy | undefined): Readonly<Record<string, string>> {
    const { address } = this.#sentinel ?? {}
    if (address !== undefined) return { REDIS_SENTINELS: address, REDIS_SENTINEL_MASTER: SENTINEL_NAME }
    return { REDIS_URL: proxy ? proxy.through(this.#redisUrl) : this.#redisUrl }
  }

  /** Makes the replica the primary. The old primary must be gone; a new replica is added apart. */
  async promoteReplica(): Promise<void> {
    const { server, promote } = this.replica
    await promote()
    await this.#primary?.stop()
    this.#primary = server
    this.#redisUrl = server.url
  }

  /** Starts a replica of the primary and waits until it has everything. */
  async addReplica(): Promise<void> {
    this.#replica = await this.#newReplica()
    await this.#replica.inSync()
  }

  /** Who owns each shard, by the authority. */
  async owners(): Promise<ReadonlyMap<number, NodeId>> {
    const rows = await this.query<{ shard: number; owner: NodeId }>(
      `select shard, owner from shard_assignments where owner is not null and state = 'assigned'`,
    )
    return new Map(rows.map(({ shard, owner }) => [shard, owner]))
  }

  /** The node that leads now, if one does. */
  async leader(): Promise<NodeId | undefined> {
    const [row] = await this.query<{ holder: NodeId }>('select holder from leader where expires_at > now()')
    return row?.holder
  }

  async query<R extends object>(text: string): Promise<R[]> {
    if (!this.#pool) throw new Error('the stores are not open')
    return (await this.#pool.query<R>(text)).rows
  }

  async #openRedis({ redisUrl, replica, sentinel }: StoreOptions): Promise<void> {
    if (redisUrl !== undefined) {
      this.#redisUrl = redisUrl
      return
    }
    this.#primary = await this.#teardown.open('Redis', startRedis({ extraArgs: FAST_COPY }))
    this.#redisUrl = this.#primary.url
    if (sentinel) await this.#openSentinel(this.#primary)
    else if (replica) await this.addReplica()
  }

  /** A Sentinel without a replica would have nothing to do: the replica comes first. */
  async #openSentinel(primary: RunningRedis): Promise<void> {
    this.#replica = await watchedReplica(primary, () => this.#watching, this.#teardown)
    const watched = { primary: primary.port, name: SENTINEL_NAME, downAfterMs: SENTINEL_DOWN_AFTER_MS }
    this.#sentinel = await this.#teardown.open('the Sentinel', startSentinel(watched))
    await this.#replica.inSync()
  }

  get #watching(): RunningSentinel {
    if (!this.#sentinel) throw new Error('this run keeps no Sentinel')
    return this.#sentinel
  }

  #newReplica(): Promise<Replica> {
    return this.#sentinel
      ? watchedReplica(this.primary, () => this.#watching, this.#teardown)
      : linkedReplica(this.redisPort, this.#teardown)
  }

  async #openPostgres({ databaseUrl }: StoreOptions): Promise<void> {
    if (databaseUrl === undefined) {
      this.postgres = await this.#teardown.open('PostgreSQL', startPostgres({ durable: true }))
    }
    const admin = databaseUrl ?? this.postgres?.url ?? ''
    await execute(admin, `create database ${this.clusterName}`)
    if (databaseUrl !== undefined) {
      this.#teardown.add('the database', () =>
        execute(admin, `drop database if exists ${this.clusterName} with (force)`),
      )
    }
    const url = new URL(admin)
    url.pathname = `/${this.clusterName}`
    this.#databaseUrl = url.href
    const pool = new pg.Pool({
      connectionString: url.href,
      max: MAX_CONNECTIONS,
      query_timeout: QUERY_TIMEOUT_MS,
      connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    })
    pool.on('error', () => {}) // The next query says it.
    this.#teardown.add('the connections to PostgreSQL', () => pool.end())
    this.#pool = pool
  }
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
