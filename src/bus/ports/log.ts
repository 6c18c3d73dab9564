/**
 * Events and state of sessions, written only by the shard's owner.
 */
import type { SessionId } from '../../protocol/ids.js'
import type { Session, SessionOptions, SessionStatus } from '../../protocol/session.js'
import type { Outbox } from '../command.js'
import type { DormantSession, Hibernated, Rest } from '../dormant.js'
import type { Claim, Claimed, Fenced, Refused } from './ownership.js'

export interface SessionLog {
  /** Installs the claim's epoch. Repeating it is allowed. */
  claim(claim: Claim): Promise<Claimed | Fenced>
  release(claim: Claim): Promise<void>
  commit(claim: Claim, change: Change): Promise<Committed>
  flush(claim: Claim, flush: TextFlush): Promise<Flushed>
  /** Answers a status query; undefined when the store does not hold the session. */
  peek(sessionId: SessionId): Promise<SessionHead | undefined>
  /** Reads a session whole; undefined when the store does not hold it. */
  load(sessionId: SessionId): Promise<SessionRecord | undefined>
  /** Events behind `after`, oldest first, at most `limit`. Those up to the floor are missing: Postgres has them. */
  events(sessionId: SessionId, after: string, limit: number): Promise<readonly StoredEvent[]>
  /**
   * Subscribes an edge and reads what follows `after` in one step, so that nothing falls between. `after` is an event
   * id, or `now` for nothing of the past but the part being streamed.
   */
  resume(sessionId: SessionId, outbox: Outbox, after: string, limit: number): Promise<Resumed>
  unsubscribe(sessionId: SessionId, outbox: Outbox): Promise<void>
  /** Tells the store what Postgres holds; drops all but the last `keep` events of each session's log. */
  trim(claim: Claim, projected: readonly Projected[]): Promise<void>
  /** Reads what must be kept of a session at rest. Edges that are gone do not count as watching, and are dropped. */
  rest(claim: Claim, sessionId: SessionId): Promise<Rest | Refused>
  /** Drops everything of a session that is still exactly as it was read. */
  hibernate(claim: Claim, session: DormantSession): Promise<Hibernated | Refused>
  /** Unsubscribes edges that are gone. Writing to a session does so too; this is for one that has nothing to say. */
  dropGoneEdges(claim: Claim, sessionId: SessionId): Promise<void>
}

/** One step of a session: events, state and the commands that they end, all or nothing. */
export interface Change {
  readonly sessionId: SessionId
  /** Chosen by the caller, without spaces; sent again after a lost reply it changes nothing and answers `ok`. */
  readonly commitId: string
  /** The head that the caller has seen. */
  readonly expectedSeq: number
  /**
   * Id of the commit before this one, '' for the first of a session, left out when the caller does not know it. A store
   * that has another one has lost it: the head alone does not show that where a commit adds no event.
   */
  readonly after?: string
  /** Epoch that the events carry, where it is not the claim's: they are put back as a former owner wrote them. */
  readonly eventEpoch?: number
  /** JSON of each event, with its `eventId` = claim's epoch and expectedSeq + 1, + 2, … */
  readonly events: readonly string[]
  readonly status: SessionStatus
  /** New state, or undefined to leave it. */
  readonly state: string | undefined
  /** How many commands leave the head of the inbox and of the control list. */
  readonly popInbox: number
  readonly popControl: number
  /** Commands that ended here: id → id of the event that ended it. */
  readonly ended: readonly { readonly commandId: string; readonly eventId: string }[]
  /** True when the streamed message is complete, so that its part is dropped. */
  readonly clearPart: boolean
}

/**
 * `head`: the head stands at `seq`, which is not what the caller expects. Above it, somebody else has written: reload or
 * stop. Not above it, or `corrupt` (fewer commands wait than the commit ends): the store has lost writes.
 */
export type Committed =
  | { readonly status: 'ok' | 'corrupt' }
  | Refused
  | { readonly status: 'head'; readonly seq: number }

export interface TextFlush {
  readonly sessionId: SessionId
  readonly messageId: string
  /** UTF-8 bytes of the message before this text. */
  readonly offset: number
  readonly text: string
  /** Sequence number of the session's head while this text is streamed. */
  readonly headSeq: number
  /** The `stream_chunk` JSON for clients. */
  readonly json: string
}

/** `gap`: the stored text is not as long as `offset`, or the head is below `headSeq`: writes were lost. A repeated flush answers `ok`. */
export type Flushed = { readonly status: 'ok' } | Refused | { readonly status: 'gap'; readonly bytes: number }

/** What a status query needs of a session. `state` is the JSON of a `SmallState`, or '' before the first commit. */
export interface SessionHead {
  readonly sessionId: SessionId
  readonly tenant: string
  readonly status: SessionStatus
  /** Id of the last event, `0-0` before the first. */
  readonly head: string
  readonly state: string
}

/** A session as the store holds it, whole. */
export interface SessionRecord extends SessionHead {
  /** Events up to this one are only in Postgres. */
  readonly floor: string
  readonly part: Part | undefined
  /** Bodies of accepted commands that wait or run, the running one first. */
  readonly inbox: readonly string[]
  readonly control: readonly string[]
  /** Id of the last commit, '' before the first. */
  readonly lastCommit: string
}

/** The small state that is saved with every step, ≤ 4 KB as JSON: long task texts are cut for it. */
export interface SmallState {
  readonly session: Session
  /** The subject that spawned the session. */
  readonly owner?: string
  /** What it was spawned with. */
  readonly options?: SessionOptions
  /** Number of the last turn that began. */
  readonly turn: number
  /** Ids of waiting commands that were cancelled: they are passed over when their turn comes. */
  readonly cancelled: readonly string[]
}

/** Text of the message being streamed. */
export interface Part {
  readonly messageId: string
  readonly text: string
}

export interface StoredEvent {
  readonly eventId: string
  readonly body: string
}

/**
 * `ok`: subscribed, and `events` is exactly what follows the position · `more`: not subscribed yet, resume again from
 * the last of `events` · `below`: the position is not in the log; up to `floor` Postgres may know it · `unknown`.
 */
export type Resumed =
  | {
      readonly status: 'ok'
      readonly events: readonly StoredEvent[]
      readonly head: string
      readonly part: Part | undefined
    }
  | { readonly status: 'more'; readonly events: readonly StoredEvent[] }
  | { readonly status: 'below'; readonly floor: string; readonly head: string }
  | { readonly status: 'unknown' }

export interface Projected {
  readonly sessionId: SessionId
  readonly seq: number
  readonly keep: number
}
