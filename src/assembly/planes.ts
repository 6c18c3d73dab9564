/**
 * The planes below the roles, chosen by what is configured: Postgres or the built-in database, Redis or the in-process
 * bus, a cluster or one process.
 */
import { resolve } from 'node:path'
import type { Bus } from '../bus/bus.js'
import { createMemoryBus } from '../bus/memory-bus.js'
import { createRedisBus } from '../bus/redis-bus.js'
import { Beats } from '../cluster/beats.js'
import type { ClusterView, ControlChannel, Member, ShardLoads } from '../cluster/cluster.js'
import { RedisControlChannel } from '../cluster/control-channel.js'
import { Membership } from '../cluster/membership.js'
import { NodeDirectory } from '../cluster/node-directory.js'
import { RedisShardLoads } from '../cluster/shard-loads.js'
import { Solo } from '../cluster/solo.js'
import type { Config } from '../config/load.js'
import type { NodeId } from '../protocol/ids.js'
import { connectBlocking, connectCommands, disconnect, type RedisConfig } from '../redis/connect.js'
import { KEY_LAYOUT } from '../redis/keys.js'
import { primaryIdentity } from '../redis/primary.js'
import { AuditLog } from '../storage/audit-log.js'
import { AuditTrail } from '../storage/audit-trail.js'
import { fixClusterConfig } from '../storage/cluster-config.js'
import { type Database, openDatabase } from '../storage/database.js'
import { migrate } from '../storage/migrate.js'
import { Nodes } from '../storage/nodes.js'
import { lockProcess } from '../storage/process-lock.js'
import { ShardAssignments } from '../storage/shard-assignments.js'
import { StandaloneBus } from '../storage/standalone-bus.js'
import type { Health } from '../telemetry/health.js'
import type { Log } from '../telemetry/log.js'
import type { Lifecycle } from './lifecycle.js'
import type { LiveSettings } from './live-settings.js'
import { heeding, type NodeWords } from './node-words.js'

/** How this process meets others: not at all, or as a node of a cluster. */
export interface ControlPlane {
  readonly member: Member
  readonly view: ClusterView
  readonly control: ControlChannel
  /** Undefined in one process. */
  readonly cluster: ClusterPlane | undefined
}

/** What only nodes of a cluster have. */
export interface ClusterPlane {
  /** Beats of all nodes. */
  readonly beats: Beats
  /** Names the Redis that holds the beats. */
  readonly primary: () => Promise<string>
  /** Measured load of shards. */
  readonly shardLoads: ShardLoads
}

/** All planes, open. */
export interface Planes extends ControlPlane {
  readonly database: Database
  readonly audit: AuditTrail
  readonly bus: Bus
  readonly shardCount: number
}

export interface Foundation {
  /** As of the start. */
  readonly config: Config
  /** As they stand now; see `LiveSettings`. */
  readonly settings: Pick<LiveSettings, 'view' | 'onChanged' | 'watch'>
  readonly node: NodeId
  readonly version: string
  readonly log: Log
  readonly lifecycle: Lifecycle
}

export const usesRedis = ({ redis }: Config): boolean =>
  redis.url !== undefined || redis.clusterNodes !== undefined || redis.sentinels !== undefined

/** A cluster needs both stores; with fewer, this is one process that keeps the same promises alone. */
export const isClustered = (config: Config): boolean => usesRedis(config) && config.database.url !== undefined

export const redisConfig = ({ redis }: Config): RedisConfig => ({
  url: redis.url,
  clusterNodes: redis.clusterNodes ?? [],
  ...(redis.sentinels && {
    sentinel: { nodes: redis.sentinels, master: redis.sentinelMaster, password: redis.sentinelPassword },
  }),
  password: redis.password,
  db: redis.db,
  connectTimeoutMs: redis.connectTimeoutMs,
})

export interface PlaneOptions {
  readonly health: Health
  readonly words: NodeWords
  /** The cluster has declared this process dead. */
  readonly onDead: () => void
}

/** Opens one plane after the other, from the ground up. */
export async function openPlanes(foundation: Foundation, { health, words, onDead }: PlaneOptions): Promise<Planes> {
  const { config, log, lifecycle } = foundation
  const { database, shardCount } = await openStorage(foundation)
  const audit = new AuditTrail({ log: new AuditLog(database), trace: log })
  lifecycle.started('audit log', () => audit.stop())
  const bus = await openBus(foundation, database)
  const plane = await join(foundation, database, shardCount)
  plane.member.onDead(onDead)
  const control = heeding(plane.control, words)
  health.register(usesRedis(config) ? 'redis' : 'bus', () => bus.ping())
  // A cluster runs on without Postgres for a while: nobody is to be sent away from its nodes meanwhile.
  health.register('database', () => database.ping(), { critical: !isClustered(config) })
  // Workers and coordinators listen for words of their own.
  if (plane.cluster && config.server.role === 'edge') {
    lifecycle.started('control words', await control.receive(() => undefined))
  }
  return { ...plane, control, database, audit, bus, shardCount }
}

/** Opens the database, brings its tables up to date and fixes what the cluster may never change. */
async function openStorage(foundation: Foundation): Promise<{ database: Database; shardCount: number }> {
  const { config, log, lifecycle } = foundation
  const { url, poolSize, connectTimeoutMs, directory } = config.database
  const database = await openDatabase(
    url === undefined
      ? { kind: 'pglite', directory: resolve(directory), vectors: config.memory.embeddingModel !== undefined }
      : { kind: 'postgres', url, poolSize, connectTimeoutMs },
  )
  lifecycle.started('database', () => database.close())
  const applied = await migrate(database)
  if (applied.length > 0) log.info({ migrations: applied.map(({ name }) => name) }, 'database brought up to date')
  const wanted = { shards: config.cluster.shardCount, lanes: config.lanes, layout: KEY_LAYOUT }
  const fixed = await fixClusterConfig(database, wanted)
  if (fixed.lanes !== config.lanes) {
    throw new Error(
      `this cluster was made with ${fixed.lanes} lanes, and the Redis in the settings needs ${config.lanes}`,
    )
  }
  return { database, shardCount: fixed.shards }
}

async function openBus(foundation: Foundation, database: Database): Promise<Bus> {
  const { config, log, lifecycle } = foundation
  const bus = usesRedis(config)
    ? await createRedisBus({
        redis: redisConfig(config),
        cluster: config.cluster.name,
        lanes: config.lanes,
        onError: (err) => log.warn({ err }, 'Redis connection failed; connecting again'),
        onWarning: (sentence) => log.warn({}, sentence),
      })
    : await createMemoryBus({ journal: new StandaloneBus(database) })
  lifecycle.started('bus', () => bus.stop())
  return bus
}

async function join(foundation: Foundation, database: Database, shardCount: number): Promise<ControlPlane> {
  const plane = isClustered(foundation.config)
    ? await clusterPlane(foundation, database, shardCount)
    : soloPlane(foundation, database, shardCount)
  await plane.member.start()
  foundation.lifecycle.started('membership', () => plane.member.stop())
  return plane
}

function soloPlane({ node, version, log }: Foundation, database: Database, shardCount: number): ControlPlane {
  const assignments = new ShardAssignments(database)
  const solo = new Solo({ id: node, version, shardCount, assignments, log, lock: () => lockProcess(database) })
  return { member: solo, view: solo, control: solo, cluster: undefined }
}

async function clusterPlane(
  { config, node, version, log, lifecycle }: Foundation,
  database: Database,
  shardCount: number,
): Promise<ControlPlane> {
  const settings = redisConfig(config)
  const cluster = config.cluster.name
  const onError = (err: Error) => log.warn({ err }, 'Redis connection failed; connecting again')
  const redis = await connectCommands(settings, onError)
  lifecycle.started('control connection', async () => disconnect(redis))
  const beats = new Beats(redis, cluster)
  const assignments = new ShardAssignments(database)
  const directory = new NodeDirectory({ beats, assignments, shardCount, log })
  await directory.start()
  lifecycle.started('node directory', () => directory.stop())
  const { role, maxSessions } = config.server
  const identity = { id: node, role, version, weight: config.worker.capacity, capacity: maxSessions }
  const member = new Membership({ ...identity, cluster, redis: settings, nodes: new Nodes(database), log })
  const connectReader = () => connectBlocking(settings, onError)
  const control = new RedisControlChannel({ id: node, cluster, redis, connectReader, log })
  return {
    member,
    view: directory,
    control,
    cluster: { beats, primary: () => primaryIdentity(redis), shardLoads: new RedisShardLoads(redis, cluster) },
  }
}
