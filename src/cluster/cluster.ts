/**
 * The control plane as its users see it: who is alive, and which worker owns which shard. Over Redis and Postgres
 * `membership`, `node-directory` and `control-channel` implement it; for one process `solo` does.
 */
import type { BudgetAlert } from '../protocol/events.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { OwnedShard } from '../storage/shard-assignments.js'

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
  /** Redis time of its last beat, in ms. Only good for seeing that a beat is another one: clocks are not compared. */
  readonly beatAt: number
  readonly status: 'live' | 'draining' | 'dead'
  /** How long its main loop has been stuck, in ms. */
  readonly lagMs: number
}

/** A recent picture of the cluster, refreshed every second; good enough to place a session, never to write. */
export interface ClusterView {
  /** Nodes that beat; neither dead nor silent. */
  nodes(): readonly LiveNode[]
  /** Owner of each assigned shard. */
  owners(): ReadonlyMap<number, NodeId>
  readonly shardCount: number
}

/** This process as a member. */
export interface Member {
  readonly id: NodeId
  /** Resolves when this process is a member. */
  start(): Promise<void>
  /** Leaves in an orderly way; the id is never used again. */
  stop(): Promise<void>
  /** False when no beat was acknowledged for 2 s: no new effect may start. */
  mayStartEffects(): boolean
  /**
   * Writes `b<ms>` and a newline into this named pipe with every acknowledged beat: how long commands may run on it. The
   * thread that beats writes, so that it works while the main loop is stuck. Returns the ms that are left of the last
   * beat; 0 where nobody beats, so that nothing will ever be written.
   */
  relayBeats(pipe: string): number
  setLoad(load: NodeLoad): void
  setStatus(status: 'live' | 'draining'): void
  /** Called once when the cluster has declared this process dead: it must exit. */
  onDead(handler: () => void): void
}

/** A shard as the leader gives it: who had it before says what became of its unfinished work. */
export interface GrantedShard extends OwnedShard {
  readonly previousOwner?: NodeId | undefined
}

/**
 * What nodes say to each other. Every word only makes something happen sooner that is found by polling too.
 *
 *   claim      leader → worker   these shards are yours now
 *   release    leader → owner    give these shards back: sessions in a turn stay behind under a pin
 *   released   owner → leader    given back; what has to be known of them is in Postgres
 *   pinned     owner → holder    control commands may wait in these sessions, whose turns you still run
 *   unpinned   holder → owner    these sessions are yours now
 *   replay     owner → former    this store lacks writes: put back what you wrote to this shard under epochs below this one
 *   replayed   former → owner    that is done; `whole` when nothing of it is missing
 *   buried     leader → workers  this node is dead: its pins end
 *   drain      operator → node   give everything away and end
 *   budget     worker → workers  a budget has come to a threshold: sessions are told
 *   hibernate  leader → workers  let sessions at rest leave Redis, and answer the asker `hibernated`
 */
export type ControlMessage =
  | { readonly type: 'claim'; readonly shards: readonly GrantedShard[] }
  | { readonly type: 'release'; readonly shards: readonly OwnedShard[]; readonly leader: NodeId }
  | { readonly type: 'released'; readonly shards: readonly OwnedShard[] }
  | { readonly type: 'pinned' | 'unpinned'; readonly sessions: readonly SessionId[] }
  | { readonly type: 'replay'; readonly shard: number; readonly epoch: number; readonly asker: NodeId }
  | {
      readonly type: 'replayed'
      readonly shard: number
      readonly epoch: number
      readonly node: NodeId
      readonly whole: boolean
    }
  | { readonly type: 'buried'; readonly node: NodeId }
  | { readonly type: 'drain' }
  | { readonly type: 'budget'; readonly tenant: string; readonly alert: BudgetAlert }
  | { readonly type: 'hibernate'; readonly request: string; readonly asker: NodeId }
  | { readonly type: 'hibernated'; readonly request: string; readonly node: NodeId }

export interface ControlChannel {
  /** Best effort: the receiver also polls the assignments. */
  send(to: NodeId, message: ControlMessage): Promise<void>
  /** Hands out messages to this node in order. Returns a function that stops it. */
  receive(handler: (message: ControlMessage) => void): Promise<() => Promise<void>>
}

/** What a shard has to do, as its owner measures it. */
export interface ShardLoad {
  readonly shard: number
  /** Turns under way. */
  readonly running: number
  /** Accepted commands that wait. */
  readonly queued: number
  /** Commands per second of late. */
  readonly perSecond: number
}

/** `rest` is the sum over the worker's shards that are not among its hottest; its shard number says nothing. */
export interface ShardLoadReport {
  readonly hot: readonly ShardLoad[]
  readonly rest: ShardLoad
}

/** Where workers tell how much their shards have to do. */
export interface ShardLoads {
  publish(node: NodeId, report: ShardLoadReport): Promise<void>
  /** The last reports; what other nodes than `living` have said is removed. */
  read(living: ReadonlySet<NodeId>): Promise<ReadonlyMap<NodeId, ShardLoadReport>>
}

/** The log as the control plane uses it. */
export interface ControlLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
