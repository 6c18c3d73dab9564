/**
 * Settings of one process: what it does, where it listens, how much it takes on, and when its waits end.
 */
import { choice, flag, milliseconds, name, port, text, wholeNumber } from '../kinds.js'
import { optional, setting } from '../setting.js'

export const ROLES = ['all', 'edge', 'worker', 'coordinator'] as const
export type Role = (typeof ROLES)[number]

const MAX_SESSIONS = 100_000
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
const MAX_CAPACITY = 1_000
/** Each costs a row of some hundred bytes, and a look for each task that it waits for. */
const MAX_SCHEDULED = 100_000
/** Below this the daemon itself does not fit. */
const MIN_HEAP_MB = 128
const MAX_HEAP_MB = 1_048_576

const ms = { unit: 'milliseconds' } as const

export const server = {
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
    'Address to listen on; beyond loopback DAEMON_JWT_SECRET or DAEMON_AUTH_API_KEYS is required',
    { flag: 'host', aliases: ['ORCHESTRATOR_DAEMON_HOST'] },
  ),
  port: setting('DAEMON_PORT', port, '8787', 'Port for clients; 0 takes a free one', {
    flag: 'port',
    aliases: ['ORCHESTRATOR_DAEMON_PORT'],
  }),
  maxSessions: setting(
    'DAEMON_MAX_SESSIONS',
    wholeNumber(1, MAX_SESSIONS),
    '100',
    'Sessions at work at one time, per worker',
    { flag: 'maxSessions', aliases: ['MAX_SESSIONS', 'ORCHESTRATOR_MAX_SESSIONS'], live: true },
  ),
  verbose: setting('DAEMON_VERBOSE', flag, 'false', 'Log at level debug, whatever LOG_LEVEL says', {
    flag: 'verbose',
    aliases: ['ORCHESTRATOR_VERBOSE'],
    live: true,
  }),
  heartbeatIntervalMs: setting(
    'DAEMON_HEARTBEAT_INTERVAL',
    milliseconds(1_000),
    '30000',
    'Between pings to clients, and between heartbeats to Neolith, which gets one at least every 30 s',
    ms,
  ),
  shutdownTimeoutMs: setting('DAEMON_SHUTDOWN_TIMEOUT', milliseconds(0), '10000', 'For the stop after draining', ms),
  maxMessageBytes: setting(
    'DAEMON_MAX_MESSAGE_BYTES',
    wholeNumber(1_024, MAX_MESSAGE_BYTES),
    '1048576',
    'Largest client message',
    { unit: 'bytes' },
  ),
  maxHeapMb: optional(
    'DAEMON_MAX_HEAP_MB',
    wholeNumber(MIN_HEAP_MB, MAX_HEAP_MB),
    'Memory for objects; when not set, what Node.js chooses for this machine, and in the background, as a service and in the chart 2048 at most',
    { unit: 'megabytes' },
  ),
  tlsCertFile: optional(
    'DAEMON_TLS_CERT_FILE',
    text,
    'Certificate of the port for clients (PEM, with those between it and the authority): the port then speaks TLS only',
  ),
  tlsKeyFile: optional('DAEMON_TLS_KEY_FILE', text, 'Its private key (PEM)'),
  tlsKeyPassphrase: optional('DAEMON_TLS_KEY_PASSPHRASE', text, 'What the private key is encrypted with', {
    secret: true,
  }),
  environment: optional('NODE_ENV', text, 'Kind of installation, such as production; shown when the daemon starts'),
  configFile: optional(
    'WUNDR_CONFIG_PATH',
    text,
    'File with settings (.json, .json5, .yaml or .yml); without it .wundr/config.json5 here or at home',
    { flag: 'config' },
  ),
}

export const worker = {
  capacity: setting('WORKER_CAPACITY', wholeNumber(1, MAX_CAPACITY), '1', 'Weight of this worker beside the others'),
  workspaceRoot: setting('WORKSPACE_ROOT', text, './workspaces', 'Folder that holds one folder of files per session'),
  webFetchAllowPrivate: setting(
    'WEB_FETCH_ALLOW_PRIVATE',
    flag,
    'false',
    'Let the tool web_fetch reach private addresses',
  ),
  drainTimeoutMs: setting('DRAIN_TIMEOUT', milliseconds(0), '900000', 'For turns to end before a worker stops', ms),
}

export const session = {
  timeoutMs: setting(
    'SESSION_TIMEOUT',
    milliseconds(1_000),
    '3600000',
    'A session in which nothing happens for this long is completed',
    ms,
  ),
  hibernateAfterMs: setting(
    'SESSION_HIBERNATE_AFTER',
    milliseconds(1),
    '900000',
    'Silence after which a session rests in the database alone; the next command or watcher brings it back',
    ms,
  ),
}

export const scheduling = {
  maxWaiting: setting(
    'SCHEDULE_MAX_WAITING',
    wholeNumber(1, MAX_SCHEDULED),
    '1000',
    'Tasks of one tenant that wait for a time or for other tasks, or are repeated',
    { live: true },
  ),
  minIntervalMs: setting(
    'SCHEDULE_MIN_INTERVAL',
    milliseconds(1_000),
    '60000',
    'Between two runs of a repeated task, at least',
    { ...ms, live: true },
  ),
}
