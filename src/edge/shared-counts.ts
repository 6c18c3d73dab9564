/**
 * Where all edges count together what their clients send and how many there are.
 */
import type { NodeId } from '../protocol/ids.js'
import type { SlidingLimit, Taken } from '../redis/message-counts.js'

/** Where edges count together. */
export interface SharedLimits {
  readonly messages: MessageCounts
  readonly connections: ConnectionCounts
}

/** Messages of all edges, by the name under which they count. */
export interface MessageCounts {
  /** Takes as many of the points that are wanted as are left. */
  take(name: string, wanted: number, limit: SlidingLimit): Promise<Taken>
}

/** Connections of all edges, by principal. */
export interface ConnectionCounts {
  /** Writes how many connections an edge has of a principal; answers with the counts of all edges, dead ones too. */
  write(principal: string, edge: NodeId, count: number): Promise<ReadonlyMap<NodeId, number>>
  /** Notes who is full and who is no longer, and answers with all that some edge has noted lately. */
  exchangeFull(full: readonly string[], freed: readonly string[]): Promise<readonly string[]>
}
