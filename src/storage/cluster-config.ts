/**
 * What all nodes of a cluster must agree on for as long as it lives.
 */
import type { Database } from './database.js'

export interface ClusterConfig {
  /** Slices that all sessions are divided into. */
  readonly shards: number
  /** Redis hash tags that the shards' keys share. */
  readonly lanes: number
  /** Version of the key layout in Redis. */
  readonly layout: number
}

/**
 * Stores `wanted` when nothing is stored yet, and returns what is: the first node decides for all. Throws one sentence
 * when the cluster already uses a newer key layout than this version knows.
 */
export async function fixClusterConfig(database: Database, wanted: ClusterConfig): Promise<ClusterConfig> {
  const { shards, lanes, layout } = wanted
  await database.sql
    .insertInto('cluster_config')
    .values({ shards, lanes, layout })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const stored = await database.sql
    .selectFrom('cluster_config')
    .select(['shards', 'lanes', 'layout'])
    .executeTakeFirstOrThrow()
  if (stored.layout <= layout) return stored
  throw new Error(
    `The cluster uses key layout ${stored.layout} and this version knows ${layout}; start a newer version`,
  )
}
