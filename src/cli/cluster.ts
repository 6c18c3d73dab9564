/**
 * What the commands about a cluster share: its two stores, opened from the same settings as a node's, and a picture of it.
 */
import { isClustered, redisConfig } from '../assembly/planes.js'
import { RedisHandover } from '../bus/handover.js'
import { Lanes } from '../bus/lanes.js'
import { Beats } from '../cluster/beats.js'
import type { LiveNode, ShardLoadReport } from '../cluster/cluster.js'
import { RedisControlChannel } from '../cluster/control-channel.js'
import { RedisShardLoads } from '../cluster/shard-loads.js'
import { SILENT_AFTER_MS } from '../cluster/silence.js'
import type { Config } from '../config/load.js'
import { hint } from '../config/nearest.js'
import type { BalancedWorker } from '../coordinator/balancer.js'
import { workersAmong } from '../coordinator/coordinator.js'
import { connectBlocking, connectCommands, disconnect, type RedisClient } from '../redis/connect.js'
import { AuditLog } from '../storage/audit-log.js'
import { ClusterRequests } from '../storage/cluster-requests.js'
import { type Database, openDatabase } from '../storage/database.js'
import { LeaderLease, type Leadership } from '../storage/leader.js'
import { type NodeRecord, Nodes } from '../storage/nodes.js'
import { Sessions } from '../storage/sessions.js'
import { type Assignment, ShardAssignments } from '../storage/shard-assignments.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'

export interface ClusterFlags {
  readonly config?: string
  readonly json?: true
}

export interface ClusterStores {
  readonly nodes: Nodes
  readonly assignments: ShardAssignments
  readonly requests: ClusterRequests
  readonly audit: AuditLog
  readonly sessions: Sessions
  readonly control: RedisControlChannel
  picture(): Promise<ClusterState>
}

export interface ClusterState {
  readonly leader: Leadership | undefined
  /** All that have not ended. */
  readonly nodes: readonly (NodeRecord & {
    readonly beat: LiveNode | undefined
    readonly silentMs: number | undefined
  })[]
  /** Those of them that beat, as the balancer sees them. */
  readonly workers: readonly BalancedWorker[]
  readonly assignments: readonly Assignment[]
  readonly loads: ReadonlyMap<string, ShardLoadReport>
  /** Sessions that are held by a former owner of their shard. */
  readonly pins: number
}

/** Opens the stores, does the work, and closes them. @throws CommandFailure with one sentence. */
export async function withCluster<T>(flags: ClusterFlags, work: (stores: ClusterStores) => Promise<T>): Promise<T> {
  const config = commandSettings({ config: flags.config })
  refuseSingle(config)
  const database = await failing('PostgreSQL', () => openPostgres(config))
  try {
    const redis = await failing('Redis', () => connectCommands(redisConfig(config), () => undefined))
    try {
      return await work(storesOn(config, database, redis))
    } finally {
      disconnect(redis)
    }
  } finally {
    await database.close()
  }
}

function refuseSingle(config: Config): void {
  if (isClustered(config)) return
  const missing = config.database.url === undefined ? 'DATABASE_URL' : 'REDIS_URL'
  throw new CommandFailure(
    `${missing} is missing: a cluster has both Redis and PostgreSQL; set REDIS_URL and DATABASE_URL as its nodes have them`,
  )
}

function openPostgres({ database: { url = '', connectTimeoutMs } }: Config): Promise<Database> {
  return openDatabase({ kind: 'postgres', url, poolSize: 2, connectTimeoutMs })
}

async function failing<T>(store: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (cause) {
    const reason = cause instanceof Error && cause.message !== '' ? cause.message : String(cause)
    throw new CommandFailure(`${store} cannot be reached: ${reason}`, undefined, { cause })
  }
}

function storesOn(config: Config, database: Database, redis: RedisClient): ClusterStores {
  const cluster = config.cluster.name
  const nodes = new Nodes(database)
  const assignments = new ShardAssignments(database)
  const leader = new LeaderLease(database)
  const beats = new Beats(redis, cluster)
  const loads = new RedisShardLoads(redis, cluster)
  const handover = new RedisHandover(redis, new Lanes(cluster, config.lanes))
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const connectReader = () => connectBlocking(redisConfig(config), () => undefined)
  const picture = async (): Promise<ClusterState> => {
    const [current, live, heard, rows, now] = await Promise.all([
      ...[leader.current(), nodes.listLive(), beats.read(), assignments.list(), timeOf(redis)],
    ] as const)
    const byId = new Map(heard.map((beat) => [beat.id, beat]))
    const silentMs = (beat: LiveNode | undefined) => beat && Math.max(0, now - beat.beatAt)
    const beating = live.filter(({ id }) => (silentMs(byId.get(id)) ?? Number.POSITIVE_INFINITY) < SILENT_AFTER_MS)
    return {
      leader: current,
      nodes: live.map((node) => ({ ...node, beat: byId.get(node.id), silentMs: silentMs(byId.get(node.id)) })),
      workers: workersAmong(beating, heard),
      assignments: rows,
      loads: await loads.read(new Set(live.map(({ id }) => id))),
      pins: (await Promise.all(rows.map(({ shard }) => handover.pins(shard)))).flatMap(({ pins }) => pins).length,
    }
  }
  return {
    ...{ nodes, assignments, picture },
    requests: new ClusterRequests(database),
    audit: new AuditLog(database),
    sessions: new Sessions(database),
    control: new RedisControlChannel({ id: 'command-line@0', cluster, redis, connectReader, log }),
  }
}

/** Of Redis, whose clock dates the beats. */
async function timeOf(redis: RedisClient): Promise<number> {
  const [seconds, micros] = await redis.time()
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)
}

/** @throws CommandFailure when nobody would do what is asked. */
export function refuseWithoutLeader({ leader }: ClusterState): void {
  if (!leader)
    throw new CommandFailure('no coordinator leads; start one with `orchestrator-daemon start --role coordinator`')
}

/** The node that somebody means by its id, or by its name when only one has it. @throws CommandFailure */
export function nodeNamed<T extends { readonly id: string; readonly name: string }>(
  nodes: readonly T[],
  text: string,
  kind: 'node' | 'worker',
): T {
  const [found, ...others] = nodes.filter(({ id, name }) => id === text || name === text)
  if (found && others.length === 0) return found
  if (found) {
    const ids = [found, ...others].map(({ id }) => id).join(', ')
    throw new CommandFailure(`${text} is the name of several ${kind}s (${ids}); give the id`)
  }
  const proposal = hint(text, [...nodes.map(({ name }) => name), ...nodes.map(({ id }) => id)])
  throw new CommandFailure(`no ${kind} of the cluster is called ${text}${proposal}; see \`cluster status\``)
}
