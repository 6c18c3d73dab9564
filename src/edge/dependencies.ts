/**
 * What an edge needs from the rest of the house, as small interfaces: the composition root fits them.
 */
import type { CommandStream, EdgeStream, SessionLog, StoredEvent } from '../bus/bus.js'
import type { ClusterView } from '../cluster/cluster.js'
import type { Federation } from '../federation/federation.js'
import type { ApprovalDecision, ApprovalFilter, ApprovalLevel, ApprovalState } from '../protocol/approvals.js'
import type { EventId, NodeId, SessionId } from '../protocol/ids.js'
import type { DaemonStatus } from '../protocol/replies.js'
import type { Session, SessionStatus, SessionType } from '../protocol/session.js'
import type { SlidingLimit, Taken } from '../redis/message-counts.js'
import type { Scheduling } from '../scheduling/scheduling.js'
import type { PlacementStrategy } from '../shards/placement.js'
import type { EdgeMetrics } from '../telemetry/metrics.js'
import type { Pages } from '../telemetry/pages.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { ApiKey } from './api-keys.js'
import type { CertificateSettings } from './certificate.js'
import type { ProxySettings } from './client-address.js'
import type { HttpSources } from './http/sources.js'
import type { PublicKeyAlgorithm } from './signature.js'
import type { V2Sources } from './v2/sources.js'

export interface EdgeSettings {
  /** Name of the service, shown by `daemon_status`. */
  readonly name: string
  readonly version: string
  readonly host: string
  /** 0 lets the system choose; `Edge.port` tells. */
  readonly port: number
  /** Undefined: no health check is answered here. */
  readonly healthPath: string | undefined
  /** Origins whose pages may read HTTP answers; undefined: none. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Whether there is a dashboard at `/ui/`. */
  readonly dashboard?: boolean | undefined
  /** With it the port speaks TLS and nothing else. */
  readonly certificate?: CertificateSettings | undefined
  /** Largest frame that a client may send, in bytes. */
  readonly maxPayloadBytes: number
  /** Time between pings to each client. */
  readonly heartbeatIntervalMs: number
  /** Bound of a drain. */
  readonly shutdownTimeoutMs: number
  readonly placement: PlacementStrategy
  readonly auth: AuthSettings
  readonly limits: LimitSettings
  /** Who may say for whom it speaks; undefined: nobody. */
  readonly proxies?: ProxySettings | undefined
}

export interface RateLimitSettings {
  /** Messages in any time as long as the window. */
  readonly max: number
  readonly windowMs: number
}

export interface ConnectionLimitSettings {
  /** Per principal, or whatever else connections are counted by, wherever they are. */
  readonly perPrincipal: number
  /** Of all together, at this edge. */
  readonly perEdge: number
}

export interface LimitSettings {
  /** Undefined: clients may send as much as they like. */
  readonly messages: RateLimitSettings | undefined
  readonly connections: ConnectionLimitSettings
  /** Of all who come from one address; what is left out is not limited. */
  readonly perAddress?:
    | { readonly connections?: number | undefined; readonly messages?: RateLimitSettings | undefined }
    | undefined
}

/** Where the public keys of another issuer are, and what of them is used. */
export interface RemoteKeySettings {
  readonly url: string
  readonly algorithms: readonly PublicKeyAlgorithm[]
}

export interface AuthSettings {
  /** HS256 key of the tokens. Without it, another issuer and API keys, only this machine may connect. */
  readonly secret: string | undefined
  /** Their tokens are still good. */
  readonly previousSecrets?: readonly string[] | undefined
  /** Another issuer of tokens, and what they must name. */
  readonly remote?: (RemoteKeySettings & { readonly issuer: string; readonly audience: string }) | undefined
  readonly apiKeys: readonly ApiKey[]
  /** Which kind of credential opens the door. */
  readonly mode: 'jwt' | 'api-key' | 'both'
  /** Whether this machine needs no credential, where others do. */
  readonly allowLoopback: boolean
  readonly issuer: string
  readonly audience: string
  /** Lifetime of a token made by `token_refresh`. */
  readonly tokenLifetimeMs: number
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

/** An approval's row, as a list shows it. */
export interface ApprovalRow {
  readonly approvalId: string
  readonly sessionId: SessionId
  readonly toolName: string
  readonly toolInput: object
  readonly reason: string
  readonly level: ApprovalLevel
  readonly state: ApprovalState
  readonly requestedAt: Date
  readonly expiresAt: Date
  readonly decidedAt: Date | null
  readonly decidedBy: string | null
  readonly comment: string | null
}

/** What an edge asks of the approvals. */
export interface ApprovalDecisions {
  /** Those of a tenant, newest first; with `owner`, only of sessions that this subject spawned. @throws ServiceError `unavailable` */
  list(
    tenant: string,
    query: {
      readonly state: ApprovalFilter
      readonly sessionId?: SessionId | undefined
      readonly id?: string | undefined
      readonly owner?: string | undefined
      readonly limit: number
      /** Only those that were asked for before this one. */
      readonly before?: string | undefined
    },
  ): Promise<readonly ApprovalRow[]>
  /** Answers one that is pending; of many answers exactly one counts. @throws ServiceError `unavailable` */
  decide(decision: {
    readonly id: string
    readonly tenant: string
    readonly sessionId: SessionId
    readonly decision: ApprovalDecision
    readonly comment: string | undefined
    readonly by: string
    /** Whether the one who decides may answer what is escalated. */
    readonly isAdmin: boolean
    /** Id of the command: the same one may be sent again. */
    readonly decisionId: string
  }): Promise<
    | { readonly status: 'decided' | 'missing' | 'forbidden' }
    | { readonly status: 'closed'; readonly state: ApprovalState }
  >
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

/** Events in Postgres: what the log has dropped. */
export interface EventRows {
  /** Events behind `after`, up to and including `upTo` when given, oldest first. */
  page(id: SessionId, after: EventId, upTo: EventId | undefined, limit: number): Promise<readonly StoredEvent[]>
  contains(id: SessionId, event: EventId): Promise<boolean>
  last(id: SessionId): Promise<EventId | undefined>
}

/** Figures of the whole cluster for `daemon_status`. */
export interface StatusSource {
  totals(): Promise<DaemonStatus['metrics']>
  /** A subsystem that is well has the status `running`. */
  subsystems(): Promise<DaemonStatus['subsystems']>
}

export interface EdgeLog {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
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

/** Where edges count together. */
export interface SharedLimits {
  readonly messages: MessageCounts
  readonly connections: ConnectionCounts
}

/** The federation of the cluster, as far as `route_task` needs it. */
export type TaskFederation = Pick<Federation, 'route' | 'submit' | 'result'>

/** Tasks that wait outside of their sessions. */
export type TaskScheduling = Pick<Scheduling, 'schedule' | 'list' | 'cancel' | 'cancelTask'>

/** What somebody may ask about later. */
export interface AuditNote {
  /** Undefined: it belongs to no tenant. */
  readonly tenant: string | undefined
  readonly actor: string
  readonly action: string
  readonly sessionId: SessionId | undefined
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface EdgeAudit {
  /** Never waits and never fails. */
  add(note: AuditNote): void
}

/** Answers at paths of its own, beside the health check. */
export type OperatorPages = Pick<Pages, 'answer' | 'openPaths'>

export type { ChannelMeter, EdgeMetrics } from '../telemetry/metrics.js'

export type EdgeBus = {
  readonly commands: Pick<CommandStream, 'submit'>
  readonly log: Pick<SessionLog, 'peek' | 'load' | 'events' | 'resume' | 'unsubscribe'>
  readonly outboxes: EdgeStream
}

export interface EdgeDependencies {
  readonly id: NodeId
  readonly settings: EdgeSettings
  readonly bus: EdgeBus
  readonly view: ClusterView
  readonly approvals: ApprovalDecisions
  /** Undefined: nothing is noted. */
  readonly audit?: EdgeAudit | undefined
  readonly sessions: SessionRows
  readonly events: EventRows
  readonly status: StatusSource
  readonly log: EdgeLog
  readonly metrics: EdgeMetrics
  /** Undefined: nothing is traced. */
  readonly tracing?: Tracing | undefined
  /** Pages for operators, where they have no port of their own. */
  readonly pages?: OperatorPages | undefined
  /** Undefined: this edge is alone and counts for itself. */
  readonly sharedLimits: SharedLimits | undefined
  /** Undefined: this node takes no part in it. */
  readonly federation?: TaskFederation | undefined
  readonly scheduling: TaskScheduling
  /** What only the HTTP door reads. */
  readonly http: HttpSources
  /** What only the second protocol reads and changes. */
  readonly v2: V2Sources
  /** Told of every session that came in here and that a worker has accepted. */
  readonly onSpawned?: ((sessionId: SessionId, tenant: string) => void) | undefined
}
