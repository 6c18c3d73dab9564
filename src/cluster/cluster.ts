/**
 * The control plane as its users see it: who is alive, and which worker owns which shard. `membership` implements it
 * over Redis and Postgres, `solo` for one process.
 */
import type { NodeId } from '../protocol/ids.js'

export type Role = 'edge' | 'worker' | 'coordinator' | 'all'

/** What a node tells about itself with every beat. */
export interface NodeLoad {
  /** Sessions with work or a live process (worker), or connections (edge). */
  readonly busy: number
  /** How many it may have. */
  readonly capacity: number
  /** Accepted commands that wait. */
  readonly queued: number
}

export interface LiveNode {
  readonly id: NodeId
  readonly role: Role
  readonly version: string
  /** Share of the cluster's work that it declares to take; 1 is normal. */
  readonly weight: number
  readonly load: NodeLoad
  /** Redis time of its last beat, in ms. */
  readonly beatAt: number
  readonly status: 'live' | 'draining' | 'dead'
  /** How long its main loop has been stuck, in ms. */
  readonly lagMs: number
}

/** A recent picture of the cluster, refreshed every second; good enough to place a session, never to write. */
export interface ClusterView {
  nodes(): readonly LiveNode[]
  /** Owner of each assigned shard. */
  owners(): ReadonlyMap<number, NodeId>
  readonly shardCount: number
}

/** This process as a member. */
export interface Member {
  readonly id: NodeId
  start(): Promise<void>
  /** Leaves in an orderly way; the id is never used again. */
  stop(): Promise<void>
  /** False when no beat was acknowledged for 2 s: no new effect may start. */
  mayStartEffects(): boolean
  setLoad(load: NodeLoad): void
  setStatus(status: 'live' | 'draining'): void
  /** Called once when the cluster has declared this process dead: it must exit. */
  onDead(handler: () => void): void
}

/** A word from the coordinator to a node. */
export type ControlMessage =
  | { readonly type: 'claim'; readonly shards: readonly { readonly shard: number; readonly epoch: number }[] }
  | { readonly type: 'release'; readonly shards: readonly { readonly shard: number; readonly epoch: number }[] }

export interface ControlChannel {
  /** Best effort: the receiver also polls the assignments. */
  send(to: NodeId, message: ControlMessage): Promise<void>
  /** Hands out messages to this node in order. Returns a function that stops it. */
  receive(handler: (message: ControlMessage) => void): Promise<() => Promise<void>>
}
