/**
 * The data plane: its ports and their promises. Redis implements them for a cluster, `memory-bus` for one process; one
 * contract suite holds both to the same behaviour.
 *
 *   CommandStream   edge → worker   commands of a shard, in order, accepted once; a bell tells its owner
 *   SessionLog      worker          events and state of a session, written only by the shard's owner
 *   EdgeStream      worker → edge   what one edge's clients must see
 *   Timers          worker          what must happen to a session later, whoever owns it by then
 *
 * Every write by a worker carries its `Claim`; a write under an epoch that is not the stored one changes nothing.
 */
import type { CommandStream } from './ports/commands.js'
import type { StoreFailover } from './ports/failover.js'
import type { SessionLog } from './ports/log.js'
import type { EdgeStream } from './ports/outbox.js'
import type { Handover } from './ports/ownership.js'
import type { Timers } from './ports/timers.js'

export type { Hibernated, Rest } from './dormant.js'
export { LIMITS } from './limits.js'
export type * from './ports/commands.js'
export type * from './ports/failover.js'
export type * from './ports/log.js'
export type * from './ports/outbox.js'
export type * from './ports/ownership.js'
export type * from './ports/timers.js'

/** All ports together, as the composition root hands them out. */
export interface Bus {
  readonly commands: CommandStream
  readonly log: SessionLog
  readonly outboxes: EdgeStream
  readonly timers: Timers
  /** Undefined in one process. */
  readonly handover?: Handover
  /** Undefined for a store that loses nothing it has answered. */
  readonly failover?: StoreFailover
  /** Whether the store answers: for readiness. */
  ping(): Promise<void>
  stop(): Promise<void>
}

/** The store is there and refused a single item: what it holds under a key is not what we write. Trying on changes nothing. */
export class StoreRefusal extends Error {
  constructor(words: string) {
    super(`the store refused: ${words}`)
    this.name = 'StoreRefusal'
  }
}
