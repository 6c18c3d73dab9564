/**
 * Names of all Redis keys, in one place. Every key starts with `<cluster>:`; keys of a shard and its sessions share the
 * hash tag of their lane, so that one script may touch them all on Redis Cluster.
 */
import type { NodeId, SessionId } from '../protocol/ids.js'

/** Layout version of the keys below. A node refuses to start on a newer one. */
export const KEY_LAYOUT = 1

export interface LaneKeys {
  /** `<cluster>:{tag}:`, from which scripts derive the keys of sessions and out-streams. */
  readonly base: string
  shard(shard: number): string
  session(id: SessionId): string
  outbox(name: string): string
  /** Stream of shard numbers for the worker that owns them (bus/command-bell). */
  bell(owner: NodeId): string
}

/** Keys of one lane. `tag` is its hash tag (shards/lane). */
export function laneKeys(cluster: string, tag: string): LaneKeys {
  const base = `${cluster}:{${tag}}:`
  return {
    base,
    shard: (shard) => `${base}sh:${shard}`,
    session: (id) => `${base}s:${id}`,
    outbox: (name) => `${base}out:${name}`,
    bell: (owner) => `${base}bell:${owner}`,
  }
}

export const nodeKey = (cluster: string, node: NodeId): string => `${cluster}:node:${node}`
/** Sorted set of node ids by the time of their last beat. */
export const nodesKey = (cluster: string): string => `${cluster}:nodes`
/** Hash of what each worker's shards have to do (cluster/shard-loads). */
export const shardLoadsKey = (cluster: string): string => `${cluster}:loads`
export const controlKey = (cluster: string, node: NodeId): string => `${cluster}:ctl:${node}`
/** What the keys of background jobs begin with: one hash tag, because BullMQ's scripts touch several of them. */
export const jobsPrefix = (cluster: string): string => `{${cluster}:bull}`
/** Hash of messages by slice of time. Not `rl`, where versions before kept numbers. */
export const messageCountsKey = (cluster: string, name: string): string => `${cluster}:msgs:${name}`
/** Hash of connections by edge. */
export const connectionCountsKey = (cluster: string, principal: string): string => `${cluster}:conn:${principal}`
export const fullPrincipalsKey = (cluster: string): string => `${cluster}:conn-full`
/** Hash of open reservations of a tenant, whose hash tag all its counts share (budget/lua). Tenants have no braces in their name. */
export const budgetKey = (cluster: string, tenant: string): string => `${cluster}:budget:{${tenant}}`
/** String: the tokens of Neolith, closed (neolith/sealed). */
export const neolithTokensKey = (cluster: string): string => `${cluster}:neolith:tokens`
/** Strings: who brings new tokens now, and who speaks to Neolith. */
export const neolithLeaseKey = (cluster: string, of: 'tokens' | 'report'): string => `${cluster}:neolith:lease:${of}`
