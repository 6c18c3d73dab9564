/**
 * What an edge needs from the rest of the house, as small interfaces: the composition root fits them.
 */
import type { CommandStream, EdgeStream, SessionLog } from '../bus/bus.js'
import type { ClusterView } from '../cluster/cluster.js'
import type { Federation } from '../federation/federation.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { DaemonStatus } from '../protocol/replies.js'
import type { Scheduling } from '../scheduling/scheduling.js'
import type { EdgeMetrics } from '../telemetry/metrics.js'
import type { Pages } from '../telemetry/pages.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { HttpSources } from './http/sources.js'
import type { ApprovalDecisions, EventRows, SessionRows } from './rows.js'
import type { EdgeSettings } from './settings.js'
import type { SharedLimits } from './shared-counts.js'
import type { V2Sources } from './v2/sources.js'

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

/** What of the data plane an edge uses. */
export interface EdgeBus {
  readonly commands: Pick<CommandStream, 'submit'>
  readonly log: Pick<SessionLog, 'peek' | 'load' | 'events' | 'resume' | 'unsubscribe'>
  readonly outboxes: EdgeStream
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
