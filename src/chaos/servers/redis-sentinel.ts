/**
 * A private Redis Sentinel, alone, that watches one primary and its replicas.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withRedis } from './redis-admin.js'
import { onFreePort, ServerProcess } from './server-process.js'
import { redisSource } from './source.js'
import { temporaryFolder } from './watchdog.js'

export interface SentinelOptions {
  /** Port of the primary on this machine. */
  readonly primary: number
  /** The name under which clients ask for it. */
  readonly name: string
  readonly password?: string
  /** Silence after which the primary counts as lost; short by default, because tests wait for it. */
  readonly downAfterMs?: number
}

/** A replica as the Sentinel sees it. */
export interface KnownReplica {
  readonly port: number
  /** `slave` alone when all is well. */
  readonly flags: string
}

export interface RunningSentinel {
  /** `host:port` */
  readonly address: string
  readonly port: number
  /** Where it sends clients. */
  primaryPort(): Promise<number>
  replicas(): Promise<readonly KnownReplica[]>
  /** Ends it and removes its files; may be called twice. */
  stop(): Promise<void>
}

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
  const ask = <T>(question: (redis: Asked) => Promise<T>): Promise<T> =>
    withRedis(`redis://${auth}127.0.0.1:${port}`, question)
  const server = new ServerProcess({
    file,
    args: [settings, '--sentinel'],
    folder: folder.path,
    logFile: join(folder.path, 'sentinel.log'),
    endSignal: 'KILL',
    probe: () => ask((redis) => knowsReplica(redis, options.name)),
  })
  const stop = async (): Promise<void> => {
    await server.stop()
    folder.remove()
  }
  await server.start().catch(async (error: unknown) => {
    await stop()
    throw error
  })
  const primaryPort = async (): Promise<number> => {
    const address = await ask((redis) => redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', options.name))
    return Number((address as readonly string[])[1])
  }
  const replicas = () => ask((redis) => replicasOf(redis, options.name))
  return { address: `127.0.0.1:${port}`, port, primaryPort, replicas, stop }
}

function settingsOf(port: number, { primary, name, password, downAfterMs }: SentinelOptions): string {
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    'protected-mode no',
    `sentinel monitor ${name} 127.0.0.1 ${primary} 1`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs ?? DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${name} 10000`,
    ...(password === undefined ? [] : [`requirepass ${password}`]),
  ]
  return `${lines.join('\n')}\n`
}

interface Asked {
  call(...args: [string, ...string[]]): Promise<unknown>
}

/** One that has not found a replica yet could not fail over. */
async function knowsReplica(redis: Asked, name: string): Promise<void> {
  if ((await replicasOf(redis, name)).length === 0) throw new Error('the Sentinel knows no replica yet')
}

/** Each is a list of names and values by turns. */
async function replicasOf(redis: Asked, name: string): Promise<KnownReplica[]> {
  const lists = (await redis.call('SENTINEL', 'REPLICAS', name)) as readonly (readonly string[])[]
  return lists.map((list) => {
    const fieldOf = (field: string): string => list[list.indexOf(field) + 1] ?? ''
    return { port: Number(fieldOf('port')), flags: fieldOf('flags') }
  })
}
