/**
 * Who may write a shard: claims, what a refused write is told, and how a busy session stays behind when its shard moves.
 */
import type { NodeId, SessionId } from '../../protocol/ids.js'

/** A worker's right to write a shard, granted by Postgres. */
export interface Claim {
  readonly shard: number
  readonly owner: NodeId
  readonly epoch: number
}

/** Another owner has been installed: stop at once. */
export interface Fenced {
  readonly status: 'fenced'
  readonly epoch: number
}

/** The store has lost writes (its epoch is lower than ours): nobody writes before re-reading the assignments. */
export interface RolledBack {
  readonly status: 'rollback'
  readonly epoch: number
}

export type Refused = Fenced | RolledBack

/** What a new owner finds in a shard. */
export interface Claimed {
  readonly status: 'ok'
  /** Sessions with an unfinished command: the work list of a takeover. */
  readonly active: readonly SessionId[]
  /** Sessions with events that Postgres may not have. */
  readonly unprojected: readonly SessionId[]
  /** Sessions that a former owner still writes: not to be taken up before their pin has ended. */
  readonly pins: readonly Pin[]
  /** Sessions that are not here and for which commands wait. */
  readonly cold: readonly ColdSession[]
  /** Where the shard's cursor stands: `accept` names it. */
  readonly cursor: string
  /** The store may have lost writes since the last owner had everything in it (see `StoreFailover`). */
  readonly storeChanged: boolean
}

export interface ColdSession {
  readonly sessionId: SessionId
  /** How long the first of its commands has waited. */
  readonly waitedMs: number
}

/** A session whose turn outlives its worker's ownership of the shard: only `node`, under `epoch`, writes it. */
export interface Pin {
  readonly sessionId: SessionId
  readonly node: NodeId
  readonly epoch: number
}

/**
 * What lets a busy session stay behind when its shard moves. In one process nothing moves, and there is no such thing.
 *
 *   owner pins ─▶ the shard goes to another ─▶ turn ends ─▶ holder unpins      holder dead ─▶ the new owner unpins
 */
export interface Handover {
  /** Pins sessions to the claim's owner. Returns those that are; one that another node holds, or that is gone, is not. */
  pin(
    claim: Claim,
    sessionIds: readonly SessionId[],
  ): Promise<{ readonly status: 'ok'; readonly pinned: readonly SessionId[] } | Refused>
  /** Ends pins, by their holder or by the shard's owner. Returns the sessions that are not pinned any more. */
  unpin(claim: Claim, sessionIds: readonly SessionId[]): Promise<readonly SessionId[]>
  /** All pins of a shard, and its epoch: one that is not the caller's tells that pins may have been lost. */
  pins(shard: number): Promise<{ readonly epoch: number; readonly pins: readonly Pin[] }>
}
