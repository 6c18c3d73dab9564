/**
 * What one edge's clients must see, on its way to that edge.
 */
import type { NodeId, SessionId } from '../../protocol/ids.js'
import type { Outbox } from '../command.js'
import type { Acceptance } from './commands.js'
import type { StoredEvent } from './log.js'

export interface EdgeStream {
  open(edge: NodeId, handlers: EdgeHandlers): Promise<EdgeOutbox>
}

export interface EdgeHandlers {
  /** Entries in order. The next batch waits until this returns. */
  readonly onEntries: (entries: readonly OutEntry[]) => void
  /**
   * Entries may have been lost (stalled too long, connection or store lost): the outbox has a new name, and every
   * subscription must resume from what its client last got; unanswered submissions must be sent again.
   */
  readonly onReopened: (name: Outbox) => void
}

export interface EdgeOutbox {
  /** Its present name; `reopened` announces a new one. */
  readonly name: Outbox
  /** Monotonic time at which the store was last seen to have everything that it had put in here. */
  readonly intactAt: number
  stop(): Promise<void>
}

/** What an edge reads: acceptances of what it submitted, events and text of sessions that its clients watch. */
export type OutEntry =
  | { readonly kind: 'acceptances'; readonly acceptances: readonly Acceptance[] }
  | { readonly kind: 'events'; readonly sessionId: SessionId; readonly events: readonly StoredEvent[] }
  /** The owner has looked for a session for which this edge asked: a resume finds it, if it may be found. */
  | { readonly kind: 'awake'; readonly sessionId: SessionId }
  | {
      readonly kind: 'text'
      readonly sessionId: SessionId
      readonly messageId: string
      readonly offset: number
      /** UTF-8 bytes of this piece. */
      readonly bytes: number
      readonly headSeq: number
      readonly json: string
    }
