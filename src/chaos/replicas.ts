/**
 * The replica of Redis that takes over in a failover, by the hand of the run or by a Sentinel, after it was cut off from
 * what the primary goes on to acknowledge.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { TcpProxy } from './proxy.js'
import { withRedis } from './servers/redis-admin.js'
import type { RunningSentinel } from './servers/redis-sentinel.js'
import { type RunningRedis, startRedis } from './servers/redis-server.js'
import type { Teardown } from './teardown.js'

/** A copy of a small database takes a moment, and a Sentinel looks for replicas every ten seconds. */
const SYNC_TIMEOUT_MS = 30_000
/** A Sentinel waits for twice its failover timeout when it has promoted somebody shortly before. */
const PROMOTION_TIMEOUT_MS = 45_000
const POLL_MS = 50
/** A primary waits for 5 s otherwise before it sends a copy: more replicas might come. */
export const FAST_COPY = ['--repl-diskless-sync-delay', '0']

export interface Replica {
  readonly server: RunningRedis
  /** Resolves when it has everything: until then nobody would fail over to it. */
  inSync(): Promise<void>
  /** From now on it hears nothing of the primary. */
  cutOff(): Promise<void>
  /** The primary is gone. Resolves when this one takes writes in its place. */
  promote(): Promise<void>
}

/** One that follows through a proxy and is promoted by the run. */
export async function linkedReplica(primaryPort: number, teardown: Teardown): Promise<Replica> {
  const link = await TcpProxy.start(primaryPort)
  teardown.add('the replication link', () => link.stop())
  const server = await startReplica(link.port, teardown)
  return {
    server,
    inSync: () => waitForLink(server.url),
    cutOff: async () => {
      link.mode = 'cut'
    },
    promote: async () => {
      await withRedis(server.url, (redis) => redis.call('REPLICAOF', 'NO', 'ONE'))
      await link.stop()
    },
  }
}

/**
 * One that a Sentinel promotes. It follows without a proxy, because a Sentinel puts right whoever follows another address
 * than the primary's; it is cut off by a password that it does not know.
 */
export async function watchedReplica(
  primary: RunningRedis,
  sentinel: () => RunningSentinel,
  teardown: Teardown,
): Promise<Replica> {
  const server = await startReplica(primary.port, teardown)
  const isKnown = async (): Promise<boolean> =>
    (await sentinel().replicas()).some(({ port, flags }) => port === server.port && flags === 'slave')
  return {
    server,
    inSync: async () => {
      await waitForLink(server.url)
      await until('the Sentinel does not know the replica', SYNC_TIMEOUT_MS, isKnown)
    },
    cutOff: () =>
      withRedis(primary.url, async (redis) => {
        await redis.config('SET', 'requirepass', 'not-known-to-the-replica')
        await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
      }),
    promote: () =>
      until('the Sentinel has not promoted the replica', PROMOTION_TIMEOUT_MS, async () => {
        return (await sentinel().primaryPort()) === server.port && (await infoOf(server.url)).includes('role:master')
      }),
  }
}

async function startReplica(primaryPort: number, teardown: Teardown): Promise<RunningRedis> {
  const server = await teardown.open('the replica of Redis', startRedis({ extraArgs: FAST_COPY }))
  // Not among its arguments: once promoted it would come back from a crash as a replica of a server that is gone.
  await withRedis(server.url, (redis) => redis.call('REPLICAOF', '127.0.0.1', String(primaryPort)))
  return server
}

const infoOf = (url: string): Promise<string> =>
  withRedis(url, (redis) => redis.info('replication')).catch(() => 'it does not answer')

const waitForLink = (url: string): Promise<void> =>
  until('the replica did not catch up', SYNC_TIMEOUT_MS, async () =>
    (await infoOf(url)).includes('master_link_status:up'),
  )

async function until(complaint: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`${complaint} within ${timeoutMs / 1_000} s`)
    await sleep(POLL_MS)
  }
}
