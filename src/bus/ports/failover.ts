/**
 * What there is to do about a store that fails over and then may lack its last writes.
 */
import type { Submission } from '../command.js'
import type { Claim, Claimed, Fenced, Refused } from './ownership.js'

/**
 * For a store that fails over and then may lack its last writes: how its owner notices, and how it puts back what it
 * remembers. What it has lost is the end of what was written to a lane, never something in between.
 */
export interface StoreFailover {
  watch(handlers: StoreWatchHandlers): StoreWatch
  /** Refuses new commands of a shard as `busy` until it is claimed, for some seconds at most; its owner says it again. */
  pause(claim: Claim): Promise<void>
  /**
   * Puts accepted commands back that the store does not know, behind what waits, in the order given, which is that of
   * their acceptance; creates the sessions of spawns. Bounds of what may wait do not count: they were accepted.
   */
  restore(claim: Claim, commands: readonly Submission[]): Promise<{ readonly status: 'ok' } | Refused>
  /** Installs a claim as `SessionLog.claim` does, unless the store is another than the last owner had everything in. */
  claimSame(claim: Claim): Promise<Claimed | Fenced | undefined>
  /** Notes that the owner has everything in this store: the next owner need not doubt it. */
  settle(claim: Claim): Promise<{ readonly status: 'ok' } | Refused>
}

/** Tells when the store of some shards has become another one, which may lack the last writes. */
export interface StoreWatch {
  /** Looks at once. Resolves when the store has answered for every shard, after `onChanged` where it is another. */
  check(): Promise<void>
  stop(): void
}

export interface StoreWatchHandlers {
  /** Called with each shard's lane that is served by another store than before. */
  readonly onChanged: (isAffected: (shard: number) => boolean) => void
  /** The store is still the one that it was: what it answered is in it. */
  readonly onSame: (isAffected: (shard: number) => boolean) => void
}
