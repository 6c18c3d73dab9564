/**
 * A service that finds its Redis through Sentinel, and goes on when Sentinel has promoted a replica that lacks the last
 * writes.
 */
import { expect, onTestFinished, vi } from 'vitest'
import { startRedis, startSentinel } from '../../scripts/servers/servers.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { FailoverLoad, PATIENCE } from '../support/failover-load.js'
import { effect } from '../support/settings-fixture.js'

const PASSWORD = 'password-of-the-sentinels'
const NAME = 'orchestrator'

effect(
  ['REDIS_SENTINELS', 'REDIS_SENTINEL_MASTER', 'REDIS_SENTINEL_PASSWORD'],
  'the primary that a Sentinel names is used, and after its loss the one that it promotes',
  async () => {
    const own = { own: true, extraArgs: ['--repl-diskless-sync-delay', '0'] }
    const [primary, replica] = await Promise.all([startRedis(own), startRedis(own)])
    onTestFinished(() => Promise.all([primary.stop(), replica.stop()]).then(() => undefined))
    await withRedis(replica.url, (redis) => redis.replicaof('127.0.0.1', primary.port))
    await vi.waitFor(async () => expect(await replication(replica.url)).toContain('master_link_status:up'), PATIENCE)
    const sentinel = await startSentinel({ primary: primary.port, name: NAME, password: PASSWORD })
    onTestFinished(() => sentinel.stop())
    const load = await FailoverLoad.start({
      REDIS_SENTINELS: `127.0.0.1:1,${sentinel.address}`,
      REDIS_SENTINEL_MASTER: NAME,
      REDIS_SENTINEL_PASSWORD: PASSWORD,
    })
    await load.stream()
    // From here on the replica is refused: what is written is written to the primary alone.
    await withRedis(primary.url, async (redis) => {
      await redis.config('SET', 'requirepass', 'not-known-to-the-replica')
      await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
    })
    await load.work('lost')
    await primary.kill('SIGKILL')

    await load.finish()
    await load.check()
    expect(await replication(replica.url)).toContain('role:master')
  },
)

const replication = (url: string): Promise<string> => withRedis(url, (redis) => redis.info('replication'))
