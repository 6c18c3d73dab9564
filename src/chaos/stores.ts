/**
 * Redis and PostgreSQL of a fault run: private servers as durable as production, with a replica that follows through a
 * proxy where a failover is asked for. Servers that the user names are used as they are, by runs that do not harm them.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { NodeId } from '../protocol/ids.js'
import { TcpProxy } from './proxy.js'
import { type RunningPostgres, startPostgres } from './servers/postgres-server.js'
import { withRedis } from './servers/redis-admin.js'
import { type RunningRedis, startRedis } from './servers/redis-server.js'
import type { Teardown } from './teardown.js'

const MAX_CONNECTIONS = 3
/** Our own questions must not hang on a server that a fault has frozen. */
const QUERY_TIMEOUT_MS = 3_000
/** A copy of a small database takes a moment. */
const SYNC_TIMEOUT_MS = 20_000
const POLL_MS = 50
/** A primary waits for 5 s otherwise before it sends a copy: more replicas might come. */
const FAST_COPY = ['--repl-diskless-sync-delay', '0']

export interface StoreOptions {
  readonly redisUrl?: string
  readonly databaseUrl?: string
  /** Keep a replica of Redis, for failovers. */
  readonly replica: boolean
}

interface Replica {
  readonly server: RunningRedis
  /** The replication link. */
  readonly link: TcpProxy
}

export class ChaosStores {
  readonly clusterName = `chaos_${randomBytes(4).toString('hex')}`
  /** Of the servers that we started ourselves; undefined for those of the user. */
  postgres: RunningPostgres | undefined
  #primary: RunningRedis | undefined
  #replica: Replica | undefined
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

  /** The link from the primary to its replica. */
  get replicationLink(): TcpProxy {
    if (!this.#replica) throw new Error('this run keeps no replica')
    return this.#replica.link
  }

  /** Resolves when the replica has everything: until then nobody would fail over to it. */
  async replicaInSync(): Promise<void> {
    if (!this.#replica) throw new Error('this run keeps no replica')
    await waitForSync(this.#replica.server.url)
  }

  /** Makes the replica the primary, and starts a new replica behind it. The old primary must be gone. */
  async promoteReplica(): Promise<void> {
    const { server, link } = this.#replica ?? { server: undefined, link: undefined }
    if (!server || !link) throw new Error('this run keeps no replica')
    await withRedis(server.url, (redis) => redis.call('REPLICAOF', 'NO', 'ONE'))
    await link.stop()
    await this.#primary?.stop()
    this.#primary = server
    this.#redisUrl = server.url
  }

  /** Starts a replica of the primary and waits until it has everything. */
  async addReplica(): Promise<void> {
    const link = await TcpProxy.start(this.redisPort)
    this.#teardown.add('the replication link', () => link.stop())
    const server = await this.#teardown.open('the replica of Redis', startRedis({ extraArgs: FAST_COPY }))
    // Not among its arguments: once promoted it would come back from a crash as a replica of a server that is gone.
    await withRedis(server.url, (redis) => redis.call('REPLICAOF', '127.0.0.1', String(link.port)))
    this.#replica = { server, link }
    await waitForSync(server.url)
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

  async #openRedis({ redisUrl, replica }: StoreOptions): Promise<void> {
    if (redisUrl !== undefined) {
      this.#redisUrl = redisUrl
      return
    }
    this.#primary = await this.#teardown.open('Redis', startRedis({ extraArgs: FAST_COPY }))
    this.#redisUrl = this.#primary.url
    if (replica) await this.addReplica()
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

async function waitForSync(url: string): Promise<void> {
  const deadline = performance.now() + SYNC_TIMEOUT_MS
  for (;;) {
    const info = await withRedis(url, (redis) => redis.info('replication')).catch(() => '')
    if (info.includes('master_link_status:up')) return
    if (performance.now() > deadline) throw new Error(`the replica did not catch up within ${SYNC_TIMEOUT_MS} ms`)
    await sleep(POLL_MS)
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
