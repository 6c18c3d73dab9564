/**
 * Whether a Redis is one that the service may trust with commands that it has accepted: looked at once, at the start.
 */
import { Cluster } from 'ioredis'
import type { RedisClient } from './connect.js'

const MIN_VERSION = 7

/**
 * Returns warnings, one sentence each.
 * @throws Error with one sentence for a Redis on which accepted commands or events could get lost.
 */
export async function checkServers(client: RedisClient): Promise<readonly string[]> {
  const servers = client instanceof Cluster ? client.nodes('master') : [client]
  const infos = await Promise.all(servers.map((it) => it.info('everything')))
  return [...new Set(infos.flatMap((info) => checkServer(info)))]
}

/** Judges what a server says of itself with INFO. */
export function checkServer(info: string): readonly string[] {
  const said = (field: string): string | undefined => new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  const version = said('redis_version') ?? 'of an unknown version'
  if (!(Number.parseInt(version, 10) >= MIN_VERSION)) {
    throw new Error(`Redis is ${version}; ${MIN_VERSION}.0 or newer is needed`)
  }
  const policy = said('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    const reason = 'a key that is evicted is an event that is lost'
    throw new Error(`Redis has maxmemory-policy ${policy}: set it to noeviction, because ${reason}`)
  }
  if (said('aof_enabled') === '0') {
    return ['Redis keeps no append-only file: what it holds is lost when it restarts; set appendonly yes']
  }
  return []
}
