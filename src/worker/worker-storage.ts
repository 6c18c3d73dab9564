/**
 * What a worker asks of Postgres, as one bundle.
 */
import type { StoredEvent } from '../bus/bus.js'
import type { Whereabouts } from '../bus/dormant.js'
import type { EventId, NodeId } from '../protocol/ids.js'
import type { Approval, Decided } from '../storage/approvals.js'
import type { Reservation } from './forgotten-spawns.js'
import type { DormantStorage } from './hibernation.js'
import type { Project } from './projection-batch.js'
import type { ApprovalAsked, Audited, DeadLetter, OnceCall } from './session-services.js'
import type { OwnedShard } from './shard-owner.js'

export interface WorkerStorage {
  assigned(): Promise<readonly OwnedShard[]>
  release(shards: readonly { readonly shard: number; readonly epoch: number }[]): Promise<unknown>
  /** Lifts the epoch of a shard of this node, where it still is its own under that one. */
  raise(shard: { readonly shard: number; readonly epoch: number }, toEpoch: number): Promise<unknown>
  ownerOf(shard: number): Promise<NodeId | undefined>
  leader(): Promise<NodeId | undefined>
  readonly project: Project
  /** The last event that is projected; undefined when none is. */
  lastEvent(sessionId: string): Promise<EventId | undefined>
  pageEvents(sessionId: string, after: EventId, upTo: EventId, limit: number): Promise<readonly StoredEvent[]>
  pageEventsBack(sessionId: string, upTo: EventId, limit: number): Promise<readonly StoredEvent[]>
  /** See `SessionServices.beginOnce`. */
  beginOnce(call: OnceCall, signal: AbortSignal): Promise<boolean>
  /** Asks for an approval, or finds the one that was asked for before. See `SessionApprovals`. */
  requestApproval(asked: ApprovalAsked & { readonly timeoutMs: number }, signal: AbortSignal): Promise<Approval>
  /** Which approvals are not pending any more; those whose time is over expire now. */
  settledApprovals(ids: readonly string[]): Promise<readonly Decided[]>
  cancelApprovals(sessionId: string, commandId: string): Promise<void>
  /** Notes it for the audit log; never fails. */
  audit(entry: Audited): void
  recordDeadLetter(letter: DeadLetter): Promise<string>
  /** What is known of a session that the bus does not hold. */
  whereabouts(sessionId: string): Promise<Whereabouts>
  readonly dormant: DormantStorage
  /** Reserved sessions of these shards that no edge submitted in time: their edge died between the two steps. */
  unsubmitted(shards: readonly number[], olderThanMs: number, limit: number): Promise<readonly Reservation[]>
  /** When a node ended and whether it left in an orderly way; undefined while it is not known to have ended. */
  ending(node: string): Promise<{ readonly planned: boolean; readonly at: Date } | undefined>
}
