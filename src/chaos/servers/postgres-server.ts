/**
 * A private PostgreSQL.
 */
import { execFile } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { MIN_POSTGRES } from './binaries.js'
import { startContainer } from './container.js'
import { freezeTree, thawTree } from './process-tree.js'
import { onFreePort, ServerProcess } from './server-process.js'
import { postgresSource } from './source.js'
import { temporaryFolder } from './watchdog.js'

const run = promisify(execFile)

const SUPERUSER = 'orchestrator'
/** Every node of a test cluster keeps a small pool, and several clusters run at once. */
const MAX_CONNECTIONS = 200
const PROBE_TIMEOUT_MS = 1_000
/** 10000: the first digits of `server_version_num` are the major version. */
const VERSION_UNIT = 10_000

export interface PostgresOptions {
  /** As docs/operations.md recommends it; default false, because the data is temporary and tests should be quick. */
  readonly durable?: boolean
}

export interface RunningPostgres {
  /** Superuser on the maintenance database, from which tests create their own databases. */
  readonly url: string
  readonly port: number
  /** The server's process; undefined when it runs in a container or elsewhere. */
  readonly pid: number | undefined
  /** Signals the server; SIGQUIT is a crash, SIGSTOP only freezes the process that accepts connections. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** All of it stands still, connections included, until it is thawed. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  restart(): Promise<void>
  /** Ends the server and removes its files; may be called twice. */
  stop(): Promise<void>
}

/** Starts a PostgreSQL of our own. Throws one sentence when there is no way to. */
export async function startPostgres(options: PostgresOptions = {}): Promise<RunningPostgres> {
  const source = await postgresSource()
  return source.kind === 'container'
    ? onFreePort((port) => startInContainer(port, options))
    : startBinary(dirname(realpathSync(source.path)), options)
}

/** Others on the machine need memory too, and not every build can compress by lz4. */
const DURABLE = ['shared_buffers=1GB', 'max_wal_size=8GB', 'wal_compression=on', 'autovacuum_vacuum_cost_limit=2000']
const FLEETING = ['shared_buffers=64MB', 'fsync=off', 'synchronous_commit=off', 'full_page_writes=off']

function settings(port: number, address: string, options: PostgresOptions): string[] {
  const values = [
    `port=${port}`,
    `listen_addresses=${address}`,
    `max_connections=${MAX_CONNECTIONS}`,
    'unix_socket_directories=',
    'timezone=UTC',
    ...(options.durable ? DURABLE : FLEETING),
  ]
  return values.flatMap((value) => ['-c', value])
}

async function startBinary(bin: string, options: PostgresOptions): Promise<RunningPostgres> {
  const folder = temporaryFolder()
  const data = join(folder.path, 'postgres')
  try {
    const user = serverUser()
    await createDataFolder(bin, folder.path, data, user)
    return await onFreePort((port) => serve(bin, folder, data, port, user, options))
  } catch (error) {
    folder.remove()
    throw error
  }
}

async function serve(
  bin: string,
  folder: { readonly path: string; remove(): void },
  data: string,
  port: number,
  user: ServerUser | undefined,
  options: PostgresOptions,
): Promise<RunningPostgres> {
  const url = `postgres://${SUPERUSER}@127.0.0.1:${port}/postgres`
  const server = new ServerProcess({
    file: join(bin, 'postgres'),
    args: ['-D', data, ...settings(port, '127.0.0.1', options)],
    folder: data,
    logFile: join(folder.path, 'postgres.log'),
    // The immediate shutdown: children and shared memory go too, which a killed postmaster leaves behind for a moment.
    endSignal: 'QUIT',
    probe: () => probePostgres(url),
    ...user,
  })
  await server.start()
  const thaw = async (): Promise<void> => {
    if (server.pid !== undefined) await thawTree(server.pid)
  }
  return {
    url,
    port,
    get pid() {
      return server.pid
    },
    kill: (signal) => server.kill(signal),
    freeze: async () => {
      if (server.pid !== undefined) await freezeTree(server.pid)
    },
    thaw,
    restart: async () => {
      await server.stop()
      await server.start()
    },
    stop: async () => {
      // Frozen processes hear no signal but one.
      await thaw()
      await server.stop()
      folder.remove()
    },
  }
}

interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody` where that user does not exist. */
function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(
    'PostgreSQL must not run as root, and there is neither a user postgres nor nobody; run as another user',
  )
}

async function createDataFolder(
  bin: string,
  parent: string,
  data: string,
  user: ServerUser | undefined,
): Promise<void> {
  mkdirSync(data, { mode: 0o700 })
  if (user) {
    chmodSync(parent, 0o711)
    chownSync(data, user.uid, user.gid)
  }
  const args = [
    '-D',
    data,
    '-U',
    SUPERUSER,
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ]
  await run(join(bin, 'initdb'), args, { cwd: data, ...user })
}

async function startInContainer(port: number, options: PostgresOptions): Promise<RunningPostgres> {
  const url = `postgres://${SUPERUSER}@127.0.0.1:${port}/postgres`
  const container = await startContainer({
    image: 'postgres:17',
    command: ['postgres', ...settings(port, '*', options)],
    ports: [port],
    environment: { POSTGRES_USER: SUPERUSER, POSTGRES_DB: 'postgres', POSTGRES_HOST_AUTH_METHOD: 'trust' },
    probe: () => probePostgres(url),
  })
  return { url, port, pid: undefined, ...container }
}

/** Throws unless a PostgreSQL that is new enough takes queries at `url`. */
export async function probePostgres(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PROBE_TIMEOUT_MS })
  client.on('error', () => {}) // A server that dies under the probe also rejects the query.
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string }>(`select current_setting('server_version_num') as version`)
    const major = Math.floor(Number(rows[0]?.version) / VERSION_UNIT)
    if (!(major >= MIN_POSTGRES)) throw new Error(`PostgreSQL is ${major}; ${MIN_POSTGRES} is needed`)
  } finally {
    await client.end().catch(() => {}) // A connection that never was has nothing to end.
  }
}
