/**
 * A private Redis Sentinel, alone, that watches one primary and its replicas.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { onFreePort, ServerProcess } from '../../src/chaos/servers/server-process.js'
import { redisSource } from '../../src/chaos/servers/source.js'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'

export interface SentinelOptions {
  /** Port of the primary on this machine. */
  readonly primary: number
  /** The name under which clients ask for it. */
  readonly name: string
  readonly password?: string
}

export interface RunningSentinel {
  /** `host:port` */
  readonly address: string
  readonly port: number
  /** Ends it and removes its files; may be called twice. */
  stop(): Promise<void>
}

/** Silence after which a primary counts as lost; short, because tests wait for it. */
const DOWN_AFTER_MS = 1_000

/** Throws one sentence when there is no redis-server on this machine. */
export async function startSentinel(options: SentinelOptions): Promise<RunningSentinel> {
  const source = await redisSource()
  if (source.kind !== 'binary') throw new Error('a Sentinel is started by redis-server on this machine, which has none')
  return await onFreePort((port) => start(source.path, port, options))
}

async function start(file: string, port: number, options: SentinelOptions): Promise<RunningSentinel> {
  const folder = temporaryFolder()
  const settings = join(folder.path, 'sentinel.conf')
  writeFileSync(settings, settingsOf(port, options))
  const auth = options.password === undefined ? '' : `:${options.password}@`
  const server = new ServerProcess({
    file,
    args: [settings, '--sentinel'],
    folder: folder.path,
    logFile: join(folder.path, 'sentinel.log'),
    endSignal: 'KILL',
    probe: () => withRedis(`redis://${auth}127.0.0.1:${port}`, (redis) => knowsReplica(redis, options.name)),
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    folder.remove()
  }
  await server.start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return { address: `127.0.0.1:${port}`, port, stop }
}

function settingsOf(port: number, { primary, name, password }: SentinelOptions): string {
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    'protected-mode no',
    `sentinel monitor ${name} 127.0.0.1 ${primary} 1`,
    `sentinel down-after-milliseconds ${name} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${name} 10000`,
    ...(password === undefined ? [] : [`requirepass ${password}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** One that has not found a replica yet could not fail over. */
async function knowsReplica(redis: { call(...args: [string, ...string[]]): Promise<unknown> }, name: string) {
  const replicas = await redis.call('SENTINEL', 'REPLICAS', name)
  if (!Array.isArray(replicas) || replicas.length === 0) throw new Error('the Sentinel knows no replica yet')
}
