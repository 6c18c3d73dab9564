/**
 * Every setting, once: its name, kind, default, unit and meaning. `.env.example` is generated from this table.
 */
import {
  addresses,
  choice,
  duration,
  flag,
  milliseconds,
  name,
  optional,
  port,
  type Setting,
  secret,
  setting,
  text,
  url,
  urlPath,
  wholeNumber,
} from './setting.js'

export const ROLES = ['all', 'edge', 'worker', 'coordinator'] as const
export type Role = (typeof ROLES)[number]

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const LOG_FORMATS = ['json', 'text'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export const LOAD_BALANCING_STRATEGIES = ['round-robin', 'least-loaded', 'weighted', 'hash-based'] as const
export type LoadBalancingStrategy = (typeof LOAD_BALANCING_STRATEGIES)[number]

export const MIN_SHARD_COUNT = 1
/** The three hex digits of a session id hold no more. */
export const MAX_SHARD_COUNT = 4_096
/** Many more than workers, so that they can be dealt evenly; few enough that each one is worth a stream. */
export const DEFAULT_SHARD_COUNT = 256

/** HS256 is no stronger than its secret: 256 bits of it. */
const MIN_SECRET_CHARACTERS = 32
const MAX_SESSIONS = 100_000
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const MAX_POOL = 1_000
const MAX_CAPACITY = 1_000
const MAX_REDIS_DB = 15

const ms = { unit: 'milliseconds' } as const

export const SETTINGS = {
  openai: {
    apiKey: optional('OPENAI_API_KEY', text, 'Key of the OpenAI API', { secret: true }),
    model: setting('OPENAI_MODEL', text, 'gpt-4o-mini', 'Model for sessions that name none'),
    organization: optional('OPENAI_ORG_ID', text, 'Organization that OpenAI bills'),
    baseUrl: optional(
      'OPENAI_BASE_URL',
      url('http', 'https'),
      'Any server that speaks the OpenAI API, instead of OpenAI',
    ),
  },
  anthropic: {
    apiKey: optional('ANTHROPIC_API_KEY', text, 'Key of the Anthropic API, used when no OpenAI key is set', {
      secret: true,
    }),
    model: setting('ANTHROPIC_MODEL', text, 'claude-sonnet-4-6', 'Model for sessions that name none'),
    baseUrl: optional(
      'ANTHROPIC_BASE_URL',
      url('http', 'https'),
      'Any server that speaks the Anthropic API, instead of Anthropic',
    ),
  },
  server: {
    name: setting('DAEMON_NAME', name, 'orchestrator-daemon', 'Name of this node; keep it over restarts', {
      flag: 'name',
    }),
    role: setting('DAEMON_ROLE', choice(ROLES), 'all', 'What this process does; all does everything in one', {
      flag: 'role',
    }),
    host: setting(
      'DAEMON_HOST',
      text,
      '127.0.0.1',
      'Address to listen on; beyond loopback DAEMON_JWT_SECRET is required',
      {
        flag: 'host',
      },
    ),
    port: setting('DAEMON_PORT', port, '8787', 'Port for clients; 0 takes a free one', { flag: 'port' }),
    maxSessions: setting(
      'DAEMON_MAX_SESSIONS',
      wholeNumber(1, MAX_SESSIONS),
      '100',
      'Sessions at work at one time, per worker',
      {
        flag: 'maxSessions',
        aliases: ['MAX_SESSIONS'],
      },
    ),
    verbose: setting('DAEMON_VERBOSE', flag, 'false', 'Log at level debug, whatever LOG_LEVEL says', {
      flag: 'verbose',
    }),
    heartbeatIntervalMs: setting(
      'DAEMON_HEARTBEAT_INTERVAL',
      milliseconds(1_000),
      '30000',
      'Between pings to clients',
      ms,
    ),
    shutdownTimeoutMs: setting('DAEMON_SHUTDOWN_TIMEOUT', milliseconds(0), '10000', 'For the stop after draining', ms),
    maxMessageBytes: setting(
      'DAEMON_MAX_MESSAGE_BYTES',
      wholeNumber(1_024, MAX_MESSAGE_BYTES),
      '1048576',
      'Largest client message',
      {
        unit: 'bytes',
      },
    ),
  },
  auth: {
    jwtSecret: optional(
      'DAEMON_JWT_SECRET',
      secret(MIN_SECRET_CHARACTERS),
      'Signs and checks tokens of clients (HS256)',
      {
        secret: true,
        aliases: ['DAEMON_AUTH_JWT_SECRET'],
      },
    ),
    jwtExpirationSeconds: setting('DAEMON_JWT_EXPIRATION', duration, '24h', 'Life of a token that the daemon issues'),
    issuer: setting('DAEMON_JWT_ISSUER', text, 'wundr-orchestrator', 'Issuer that tokens must name', {
      aliases: ['DAEMON_AUTH_JWT_ISSUER'],
    }),
    audience: setting('DAEMON_JWT_AUDIENCE', text, 'wundr-daemon', 'Audience that tokens must name', {
      aliases: ['DAEMON_AUTH_JWT_AUDIENCE'],
    }),
  },
  redis: {
    url: optional('REDIS_URL', url('redis', 'rediss'), 'Redis 7 or newer; without it everything runs in one process', {
      secret: true,
    }),
    clusterNodes: optional('REDIS_CLUSTER_NODES', addresses, 'Some nodes of a Redis Cluster, instead of REDIS_URL'),
    password: optional('REDIS_PASSWORD', text, 'Password, when the URL holds none', { secret: true }),
    db: setting(
      'REDIS_DB',
      wholeNumber(0, MAX_REDIS_DB),
      '0',
      'Number of the Redis database; a Redis Cluster has only 0',
    ),
    connectTimeoutMs: setting('REDIS_CONNECT_TIMEOUT', milliseconds(1), '5000', 'To connect', ms),
  },
  database: {
    url: optional(
      'DATABASE_URL',
      url('postgres', 'postgresql'),
      'PostgreSQL 15 or newer; without it DATA_DIR is used',
      {
        secret: true,
      },
    ),
    poolSize: setting('DATABASE_POOL_SIZE', wholeNumber(1, MAX_POOL), '10', 'Connections, per process'),
    connectTimeoutMs: setting('DATABASE_CONNECT_TIMEOUT', milliseconds(1), '5000', 'To connect', ms),
    directory: setting(
      'DATA_DIR',
      text,
      './data',
      'Folder of the built-in database, used when DATABASE_URL is not set',
    ),
  },
  cluster: {
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
  },
  worker: {
    capacity: setting('WORKER_CAPACITY', wholeNumber(1, MAX_CAPACITY), '1', 'Weight of this worker beside the others'),
    workspaceRoot: setting('WORKSPACE_ROOT', text, './workspaces', 'Folder that holds one folder of files per session'),
    webFetchAllowPrivate: setting(
      'WEB_FETCH_ALLOW_PRIVATE',
      flag,
      'false',
      'Let the tool web_fetch reach private addresses',
    ),
  },
  logging: {
    level: setting('LOG_LEVEL', choice(LOG_LEVELS), 'info', 'Least important kind of line that is logged', {
      flag: 'logLevel',
    }),
    format: setting('LOG_FORMAT', choice(LOG_FORMATS), 'json', 'json for machines, text for people', {
      flag: 'logFormat',
    }),
  },
  monitoring: {
    metricsEnabled: setting('METRICS_ENABLED', flag, 'true', 'Serve metrics, /health, /ready and /live'),
    metricsHost: setting('METRICS_HOST', text, '127.0.0.1', 'Address for metrics'),
    metricsPort: setting('METRICS_PORT', port, '9090', 'Port for metrics; 0 takes a free one'),
    metricsPath: setting('METRICS_PATH', urlPath, '/metrics', 'Path of the metrics'),
    healthEnabled: setting('HEALTH_CHECK_ENABLED', flag, 'true', 'Answer health checks on the client port'),
    healthPath: setting('HEALTH_CHECK_PATH', urlPath, '/health', 'Path of the health check'),
    healthTimeoutMs: setting(
      'HEALTH_CHECK_TIMEOUT',
      milliseconds(1),
      '5000',
      'For one part of the system to answer a check',
      ms,
    ),
  },
} as const satisfies Record<string, Record<string, Setting<unknown>>>

type ValueOf<S> = S extends Setting<infer T> ? T : never

/** The values of all settings, in the shape of the table. */
export type Values = {
  readonly [Section in keyof typeof SETTINGS]: {
    readonly [Key in keyof (typeof SETTINGS)[Section]]: ValueOf<(typeof SETTINGS)[Section][Key]>
  }
}

/** All settings in table order, with the section that each stands in. */
export function allSettings(): {
  readonly section: string
  readonly key: string
  readonly setting: Setting<unknown>
}[] {
  return Object.entries(SETTINGS).flatMap(([section, settings]) =>
    Object.entries(settings).map(([key, each]) => ({ section, key, setting: each as Setting<unknown> })),
  )
}
