/**
 * A Redis with a replica, and clients that reach whichever is the primary through one address, as they would through a
 * service name. The link between the two can be cut, so that a failover loses what was written since.
 *
 *   clients ─▶ front ─▶ primary ◀─ link ─ replica          after `failOver`: clients ─▶ front ─▶ former replica
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningRedis, startRedis } from '../../scripts/servers/servers.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { SwitchingProxy } from './switching-proxy.js'

const SYNC_POLL_MS = 20
const SYNC_TIMEOUT_MS = 20_000

export class RedisPair {
  private constructor(
    readonly primary: RunningRedis,
    readonly replica: RunningRedis,
    readonly front: SwitchingProxy,
    readonly link: SwitchingProxy,
  ) {}

  static async start(): Promise<RedisPair> {
    const own = { own: true, extraArgs: ['--repl-diskless-sync-delay', '0'] }
    const [primary, replica] = await Promise.all([startRedis(own), startRedis(own)])
    const [front, link] = [new SwitchingProxy(primary.port), new SwitchingProxy(primary.port)]
    await Promise.all([front.start(), link.start()])
    const pair = new RedisPair(primary, replica, front, link)
    await withRedis(replica.url, (redis) => redis.replicaof('127.0.0.1', link.port))
    await pair.inSync()
    return pair
  }

  /** The address for clients. */
  get url(): string {
    return `redis://127.0.0.1:${this.front.port}`
  }

  /** Resolves when the replica has all that the primary had at some moment after the call. */
  async inSync(): Promise<void> {
    const wanted = offsetIn(await info(this.primary.url), 'master_repl_offset')
    const deadline = performance.now() + SYNC_TIMEOUT_MS
    for (;;) {
      const text = await info(this.replica.url)
      if (text.includes('master_link_status:up') && offsetIn(text, 'slave_repl_offset') >= wanted) return
      if (performance.now() > deadline) throw new Error(`the replica does not follow:\n${text}`)
      await sleep(SYNC_POLL_MS)
    }
  }

  /** From here on the replica misses what is written. */
  cutLink(): void {
    this.link.pointTo(undefined)
  }

  /** Kills the primary and makes the replica one, which clients reach under the same address. */
  async failOver(): Promise<void> {
    await this.primary.kill('SIGKILL')
    await withRedis(this.replica.url, (redis) => redis.replicaof('NO', 'ONE'))
    this.front.pointTo(this.replica.port)
  }

  async stop(): Promise<void> {
    await Promise.all([this.front.stop(), this.link.stop()])
    await Promise.all([this.primary.stop(), this.replica.stop()])
  }
}

const info = (url: string): Promise<string> => withRedis(url, (redis) => redis.info('replication'))

const offsetIn = (text: string, field: string): number =>
  Number(new RegExp(`${field}:(\\d+)`).exec(text)?.[1] ?? Number.NaN)
