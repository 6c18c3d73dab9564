/**
 * Settings of the two stores and of the cluster that shares them.
 */
import {
  addresses,
  choice,
  flag,
  host,
  milliseconds,
  name,
  port,
  remotePort,
  text,
  url,
  wholeNumber,
} from '../kinds.js'
import { optional, setting } from '../setting.js'

export const LOAD_BALANCING_STRATEGIES = ['round-robin', 'least-loaded', 'weighted', 'hash-based'] as const
export type LoadBalancingStrategy = (typeof LOAD_BALANCING_STRATEGIES)[number]

export const MIN_SHARD_COUNT = 1
/** The three hex digits of a session id hold no more. */
export const MAX_SHARD_COUNT = 4_096
/** Many more than workers, so that they can be dealt evenly; few enough that each one is worth a stream. */
export const DEFAULT_SHARD_COUNT = 256

const MAX_POOL = 1_000
const MAX_REDIS_DB = 15
/** A hundred years. */
const MAX_RETENTION_DAYS = 36_500

const ms = { unit: 'milliseconds' } as const

export const redis = {
  url: optional('REDIS_URL', url('redis', 'rediss'), 'Redis 7 or newer; without it everything runs in one process', {
    secret: true,
  }),
  host: optional('REDIS_HOST', host, 'Host of Redis, instead of REDIS_URL'),
  port: setting('REDIS_PORT', remotePort, '6379', 'Port of Redis on REDIS_HOST'),
  clusterNodes: optional('REDIS_CLUSTER_NODES', addresses, 'Some nodes of a Redis Cluster, instead of REDIS_URL'),
  sentinels: optional('REDIS_SENTINELS', addresses, 'Redis Sentinels that know the primary, instead of REDIS_URL'),
  sentinelMaster: setting('REDIS_SENTINEL_MASTER', name, 'mymaster', 'Name under which the Sentinels know it'),
  sentinelPassword: optional('REDIS_SENTINEL_PASSWORD', text, 'Password of the Sentinels', { secret: true }),
  password: optional('REDIS_PASSWORD', text, 'Password, when the URL holds none', { secret: true }),
  db: setting(
    'REDIS_DB',
    wholeNumber(0, MAX_REDIS_DB),
    '0',
    'Number of the Redis database; a Redis Cluster has only 0',
  ),
  connectTimeoutMs: setting('REDIS_CONNECT_TIMEOUT', milliseconds(1), '5000', 'To connect', ms),
}

export const database = {
  url: optional('DATABASE_URL', url('postgres', 'postgresql'), 'PostgreSQL 15 or newer; without it DATA_DIR is used', {
    secret: true,
  }),
  host: optional('POSTGRES_HOST', host, 'Host of PostgreSQL, instead of DATABASE_URL'),
  port: setting('POSTGRES_PORT', remotePort, '5432', 'Port of PostgreSQL on POSTGRES_HOST'),
  name: setting('POSTGRES_DB', text, 'orchestrator', 'Database on POSTGRES_HOST'),
  user: setting('POSTGRES_USER', text, 'orchestrator', 'User on POSTGRES_HOST'),
  password: setting('POSTGRES_PASSWORD', text, 'orchestrator_pass', 'Password on POSTGRES_HOST', { secret: true }),
  poolSize: setting('DATABASE_POOL_SIZE', wholeNumber(1, MAX_POOL), '10', 'Connections, per process'),
  connectTimeoutMs: setting('DATABASE_CONNECT_TIMEOUT', milliseconds(1), '5000', 'To connect', ms),
  retentionDays: setting(
    'RETENTION_DAYS',
    wholeNumber(0, MAX_RETENTION_DAYS),
    '90',
    'How long the events of ended sessions, dead letters and notes of tool calls are kept; 0 keeps them for ever',
    { unit: 'days' },
  ),
  auditRetentionDays: setting(
    'AUDIT_RETENTION_DAYS',
    wholeNumber(0, MAX_RETENTION_DAYS),
    '400',
    'How long the audit log is kept; what is left can still be verified; 0 keeps it for ever',
    { unit: 'days' },
  ),
  directory: setting('DATA_DIR', text, './data', 'Folder of the built-in database, used when DATABASE_URL is not set'),
}

export const cluster = {
  name: setting(
    'CLUSTER_NAME',
    name,
    'orchestrator-cluster',
    'Start of every Redis key; nodes of one name are one cluster',
  ),
  shardCount: setting(
    'SHARD_COUNT',
    wholeNumber(MIN_SHARD_COUNT, MAX_SHARD_COUNT),
    String(DEFAULT_SHARD_COUNT),
    'Slices of all sessions; fixed by the first start',
  ),
  strategy: setting(
    'LOAD_BALANCING_STRATEGY',
    choice(LOAD_BALANCING_STRATEGIES),
    'least-loaded',
    'Where new sessions start',
  ),
  rebalanceIntervalMs: setting(
    'REBALANCE_INTERVAL',
    milliseconds(1_000),
    '300000',
    'Between looks at the load of workers, which also take place when one comes or goes',
    ms,
  ),
  migrationTimeoutMs: setting('MIGRATION_TIMEOUT', milliseconds(1), '30000', 'For an owner to give shards away', ms),
  federationEnabled: setting(
    'ENABLE_FEDERATION',
    flag,
    'true',
    'Let orchestrators delegate tasks to each other through this node',
  ),
  federationPort: setting('FEDERATION_PORT', port, '8788', 'Port for other nodes', {
    replaced: 'nodes meet in Redis and PostgreSQL, and none listens for others',
  }),
}
