/**
 * Where all edges of a cluster count messages and connections of their clients together.
 */
import type { SharedLimits } from '../edge/shared-counts.js'
import { connectCommands, disconnect } from '../redis/connect.js'
import { ConnectionCounts } from '../redis/connection-counts.js'
import { MessageCounts } from '../redis/message-counts.js'
import { type Foundation, redisConfig, usesRedis } from './planes.js'

/** Undefined without Redis: one process counts in its memory. The connection ends after the edge. */
export async function sharedLimits({ config, log, lifecycle }: Foundation): Promise<SharedLimits | undefined> {
  if (!usesRedis(config)) return undefined
  const onError = (err: Error) => log.warn({ err }, 'Redis connection failed; connecting again')
  // A connection of its own: a limit must not wait behind the work of sessions.
  const client = await connectCommands(redisConfig(config), onError)
  lifecycle.started('limits connection', async () => disconnect(client))
  const { name } = config.cluster
  return { messages: new MessageCounts(client, name), connections: new ConnectionCounts(client, name) }
}
