/**
 * Which Redis answers: a failover or a restart shows in the names that a server has for itself and for its history of
 * writes.
 */
import { Cluster } from 'ioredis'
import type { RedisClient } from './connect.js'

const NAMES = /^(?:run_id|master_replid):(\S+)/gm

/** Another text means that another server answers, or one that has started anew. */
export async function primaryIdentity(redis: RedisClient): Promise<string> {
  const servers = redis instanceof Cluster ? redis.nodes('master') : [redis]
  const names = servers.map(async (server) => {
    const sections = await Promise.all([server.info('server'), server.info('replication')])
    return [...sections.join('\n').matchAll(NAMES)].map(([, name]) => name).join(' ')
  })
  return (await Promise.all(names)).sort().join(', ')
}
