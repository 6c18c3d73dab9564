/**
 * A Redis loses its last writes, under sessions that stream and commands that come. Their worker lives: it puts everything
 * back, under the same ids, and goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startRedis, startReplicatedCluster } from '../../scripts/servers/servers.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { FailoverLoad } from '../support/failover-load.js'
import { RedisPair } from '../support/redis-pair.js'

const TIMEOUT_MS = 120_000
/** A worker remembers 5 s, to which it comes a look at its Redis later. */
const OLDER_THAN_TAIL_MS = 6_500

test(
  'what a failover loses is back under the same ids, clients see no reset, and every command runs once',
  async () => {
    const pair = await RedisPair.start()
    onTestFinished(() => pair.stop())
    const load = await FailoverLoad.start({ REDIS_URL: pair.url })
    await load.stream()
    await pair.inSync()

    pair.cutLink()
    await load.work('lost')
    await sleep(300)
    await pair.failOver()

    await load.finish()
    await load.check()
  },
  TIMEOUT_MS,
)

test(
  'a replica that is further behind than the worker remembers: what is older comes from Postgres, the rest follows it',
  async () => {
    const pair = await RedisPair.start()
    onTestFinished(() => pair.stop())
    const load = await FailoverLoad.start({ REDIS_URL: pair.url })
    await load.stream()
    await pair.inSync()

    pair.cutLink()
    await load.more('older')
    await sleep(OLDER_THAN_TAIL_MS)
    await load.more('lost')
    await sleep(300)
    await pair.failOver()

    await load.finish()
    await load.check()
  },
  TIMEOUT_MS,
)

test(
  'a redis-server that is killed and comes back from its file has everything again, also the last second',
  async () => {
    const redis = await startRedis({ own: true })
    onTestFinished(() => redis.stop())
    const load = await FailoverLoad.start({ REDIS_URL: redis.url })
    await load.stream()

    await load.work('lost')
    await redis.kill('SIGKILL')
    await redis.restart()

    await load.finish()
    await load.check()
  },
  TIMEOUT_MS,
)

test(
  'a Redis Cluster of three masters loses one of them, whose replica lacks the last writes',
  async () => {
    const cluster = await startReplicatedCluster()
    onTestFinished(() => cluster.stop())
    const [master] = cluster.masters
    const [replica] = cluster.replicas
    if (!master || !replica) throw new Error('a master with its replica')
    const nodes = cluster.urls.map((url) => new URL(url).host).join(',')
    const load = await FailoverLoad.start({ REDIS_CLUSTER_NODES: nodes })
    await load.stream()

    // From here on the replica is refused: what is written is written to the master alone.
    await withRedis(master.url, async (redis) => {
      await redis.config('SET', 'requirepass', 'not-known-to-the-replica')
      await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
    })
    await load.work('lost')
    await master.kill('SIGKILL')

    await load.finish()
    await load.check()
    expect(await withRedis(replica.url, (redis) => redis.info('replication'))).toContain('role:master')
  },
  TIMEOUT_MS,
)
