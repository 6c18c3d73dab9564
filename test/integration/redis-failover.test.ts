/**
 * A Redis loses its last writes, under sessions that stream and commands that come. Their worker lives: it puts everything
 * back, under the same ids, and goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished, test } from 'vitest'
import { startRedis } from '../../scripts/servers/servers.js'
import { FailoverLoad } from '../support/failover-load.js'
import { RedisPair } from '../support/redis-pair.js'

const TIMEOUT_MS = 120_000

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
