/**
 * What an edge asks of Postgres: sessions, their events, and approvals.
 */
import type { StoredEvent } from '../bus/bus.js'
import type { EventId, SessionId } from '../protocol/ids.js'
import type { Session, SessionStatus, SessionType } from '../protocol/session.js'
import type { Approvals } from '../storage/approvals.js'

/** Rows of sessions in Postgres. */
export interface SessionRows {
  /**
   * Inserts a row, or finds the one that holds (tenant, idemKey); `conflict`: that one has another body. Waits through an
   * outage of the database. @throws ServiceError `unavailable` after a minute
   */
  reserve(row: NewSessionRow): Promise<Reserved>
  /** Takes the idempotency key from a session, so that the next `reserve` may have it. Repeating it is allowed. */
  releaseKey(id: SessionId): Promise<void>
  find(id: SessionId): Promise<SessionRow | undefined>
  /** Newest first; `cursor` continues where a former page ended. With `owner`, only what that subject spawned. */
  listByTenant(tenant: string, page: SessionPageRequest): Promise<SessionPage>
  /** How many there are; of very many only that there are so many. */
  countByTenant(tenant: string, filter: Pick<SessionPageRequest, 'owner' | 'statuses'>): Promise<number>
  markSubmitted(id: SessionId): Promise<void>
}

/** A session's row, as far as an edge needs it. */
export interface SessionRow extends SessionSummary {
  readonly tenant: string
  /** The subject that spawned it. */
  readonly owner: string
  /** The spawn command's JSON, byte-exact. */
  readonly spawn: string
  /** Whether a worker is known to hold the spawn. */
  readonly submitted: boolean
}

/** What a list shows of a session. */
export interface SessionSummary {
  readonly id: SessionId
  readonly orchestratorId: string
  readonly type: string
  readonly status: SessionStatus
  /** As of the last projection; null before the first. */
  readonly snapshot: Session | null
  readonly createdAt: Date
}

export interface NewSessionRow {
  readonly id: SessionId
  readonly shard: number
  readonly tenant: string
  readonly owner: string
  readonly orchestratorId: string
  readonly type: SessionType
  readonly idemKey?: string
  readonly bodyHash: string
  readonly spawn: string
  /** Under which it remembers, where that is not the usual place. */
  readonly memoryProfile?: string
}

export type Reserved = { readonly status: 'new' | 'existing' | 'conflict'; readonly id: SessionId }

export interface SessionPageRequest {
  readonly limit: number
  readonly cursor?: string | undefined
  readonly owner?: string | undefined
  readonly statuses?: readonly SessionStatus[] | undefined
  readonly type?: string | undefined
  readonly orchestratorId?: string | undefined
  /** A part of an id, or of the first task. */
  readonly search?: string | undefined
}

export interface SessionPage {
  readonly sessions: readonly SessionSummary[]
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string
}

/** Events in Postgres: what the log has dropped. */
export interface EventRows {
  /** Events behind `after`, up to and including `upTo` when given, oldest first. */
  page(id: SessionId, after: EventId, upTo: EventId | undefined, limit: number): Promise<readonly StoredEvent[]>
  contains(id: SessionId, event: EventId): Promise<boolean>
  last(id: SessionId): Promise<EventId | undefined>
}

/** Lists approvals, and answers one that is pending; of many answers exactly one counts. @throws ServiceError `unavailable` */
export type ApprovalDecisions = Pick<Approvals, 'list' | 'decide'>
