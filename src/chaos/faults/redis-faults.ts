/**
 * Redis is killed and comes back with its append-only file, or is replaced by a replica that has not got everything.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fault, OFTEN } from './fault.js'

const MIN_AWAY_MS = 100
const MAX_AWAY_MS = 2_000
/** What the primary acknowledges while the replica no longer hears of it: the writes that the failover loses. */
const MIN_LOST_MS = 200
const MAX_LOST_MS = 1_500
/** Clients that come to another edge meanwhile: the replica does not know that the edge shows their sessions to somebody. */
const ROAMING_CLIENTS = 3
/** Until somebody has noticed that the primary is gone. */
const MAX_DETECT_MS = 2_000

export const redisKill: Fault = {
  test: 'T5',
  title: 'kill -9 redis-server, restart it with its append-only file',
  needs: { ownRedis: true },
  weight: 1,
  async run({ begin, stores, random }) {
    const mark = await begin({ kind: 'redis-kill', losesWrites: true })
    await stores.primary.kill('SIGKILL')
    await sleep(random(MIN_AWAY_MS, MAX_AWAY_MS))
    await stores.primary.restart()
    mark.healed()
  },
}

export const redisFailover: Fault = {
  test: 'T6',
  title: 'cut the replication link, kill the primary, promote the replica',
  needs: { ownRedis: true, replica: true, proxies: true },
  weight: OFTEN,
  needsWork: true,
  async run({ begin, stores, nodes, load, random, bySentinel }) {
    await stores.replica.inSync()
    const variant = bySentinel ? { variant: 'by Sentinel' } : {}
    const mark = await begin({ kind: 'redis-failover', losesWrites: true, ...variant })
    await stores.replica.cutOff()
    await load.special({ kind: 'roam', clients: ROAMING_CLIENTS })
    await sleep(random(MIN_LOST_MS, MAX_LOST_MS))
    mark.cutEnds()
    await stores.primary.kill('SIGKILL')
    // A Sentinel takes its time by itself.
    if (!bySentinel) await sleep(random(MIN_AWAY_MS, MAX_DETECT_MS))
    await stores.promoteReplica()
    for (const { paths } of nodes.all()) paths?.redis.retarget(stores.redisPort)
    mark.healed()
    await stores.addReplica()
  },
}
