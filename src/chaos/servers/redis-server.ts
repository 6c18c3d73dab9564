/**
 * A private Redis.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startContainer } from './container.js'
import { probeRedis } from './redis-admin.js'
import { onFreePort, ServerProcess } from './server-process.js'
import { redisSource } from './source.js'
import { temporaryFolder } from './watchdog.js'

export interface RedisOptions {
  /** Append-only file, synced every second; default true, as the service expects it. */
  readonly appendonly?: boolean
  /** More arguments of redis-server, for example `['--maxmemory', '64mb']`. */
  readonly extraArgs?: readonly string[]
}

export interface RunningRedis {
  readonly url: string
  readonly port: number
  /** The server's process; undefined when it runs in a container or elsewhere. */
  readonly pid: number | undefined
  /** Signals the server; resolves once a fatal signal has worked. */
  kill(signal: NodeJS.Signals): Promise<void>
  /** Starts a killed or stopped server again, on the same port with the same data. */
  restart(): Promise<void>
  /** Ends the server and removes its files; may be called twice. */
  stop(): Promise<void>
}

/** Starts a Redis of our own. Throws one sentence when there is no way to. */
export async function startRedis(options: RedisOptions = {}): Promise<RunningRedis> {
  const source = await redisSource()
  return source.kind === 'container'
    ? onFreePort((port) => startInContainer(port, redisArgs(port, '0.0.0.0', options)))
    : onFreePort((port) => startBinary(source.path, port, redisArgs(port, '127.0.0.1', options)))
}

/**
 * Arguments of redis-server as the service expects it to run. Streams are short-lived, so the append-only file grows much
 * faster than what it stands for: rewriting it at Redis' own 64 MB took an eighth of its time at 5,000 round trips a second.
 */
export function redisArgs(port: number, bind: string, options: RedisOptions): string[] {
  return [
    ...['--port', String(port), '--bind', bind, '--protected-mode', 'no', '--daemonize', 'no'],
    ...['--save', '', '--appendonly', options.appendonly === false ? 'no' : 'yes', '--appendfsync', 'everysec'],
    ...['--auto-aof-rewrite-min-size', '512mb', '--maxmemory-policy', 'noeviction', '--stream-node-max-bytes', '1024'],
    ...(options.extraArgs ?? []),
  ]
}

async function startBinary(file: string, port: number, args: readonly string[]): Promise<RunningRedis> {
  const folder = temporaryFolder()
  const data = join(folder.path, 'redis')
  mkdirSync(data)
  const url = `redis://127.0.0.1:${port}`
  const server = new ServerProcess({
    file,
    args: [...args, '--dir', data],
    folder: data,
    logFile: join(folder.path, 'redis.log'),
    endSignal: 'KILL',
    probe: () => probeRedis(url),
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    folder.remove()
  }
  await server.start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    url,
    port,
    get pid() {
      return server.pid
    },
    kill: (signal) => server.kill(signal),
    restart: async () => {
      await server.stop()
      await server.start()
    },
    stop,
  }
}

async function startInContainer(port: number, args: readonly string[]): Promise<RunningRedis> {
  const url = `redis://127.0.0.1:${port}`
  const container = await startContainer({
    image: 'redis:7',
    command: ['redis-server', ...args],
    ports: [port],
    probe: () => probeRedis(url),
  })
  return { url, port, pid: undefined, ...container }
}
