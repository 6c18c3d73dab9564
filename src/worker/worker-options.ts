/**
 * What a worker is made of.
 */
import type { Budgets } from '../budget/budgets.js'
import type { Bus } from '../bus/bus.js'
import type { ControlChannel, Member, ShardLoadReport } from '../cluster/cluster.js'
import type { SessionType } from '../protocol/session.js'
import type { Gate } from '../runtimes/gate.js'
import type { ToolHooks } from '../runtimes/hooks/hooks.js'
import type { Runtime } from '../runtimes/runtime.js'
import type { WorkerMetrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { ProjectorOptions } from './projector.js'
import type { Logger, Workspaces } from './session-services.js'
import type { WorkerStorage } from './worker-storage.js'

export interface WorkerOptions {
  readonly bus: Bus
  readonly member: Member
  /** Undefined in one process, where nobody sends control messages. */
  readonly control: ControlChannel | undefined
  /** Whether there is another worker for this one's shards now, and somebody who would move them. */
  readonly hasSuccessor: () => boolean
  /** For the leader to move all shards away when this worker stops. */
  readonly migrationTimeoutMs: number
  /** For the turns that stay behind then. */
  readonly drainTimeoutMs: number
  /** Tells the leader how much the shards have to do; undefined in one process, where nothing moves. */
  readonly reportShards: ((report: ShardLoadReport) => Promise<void>) | undefined
  /** When a node last gave a sign of life, in ms since 1970; undefined when nobody remembers. */
  readonly lastBeatOf: (node: string) => Promise<number | undefined>
  readonly storage: WorkerStorage
  readonly workspaces: Workspaces
  readonly gate: Gate
  /** What runs around tool calls; nothing when left out. */
  readonly hooks?: ToolHooks | undefined
  /** For a person to answer what the charter asks; read for each question. */
  readonly approvalTimeoutMs: number
  readonly budgets: Budgets
  readonly runtimeOf: (type: SessionType) => Runtime
  /** Turns that may run at once, by weight. */
  readonly maxSessions: number
  /** And by number; any when left out. */
  readonly maxConcurrentTasks?: number | undefined
  /** Of a session's history no more is read than fits into this (DAEMON_MAX_CONTEXT_TOKENS). */
  readonly maxContextTokens: number
  /** A session in which nothing happens for so long is completed. */
  readonly sessionTimeoutMs: number
  /** What the log may hold that Postgres does not; see the projector when left out. */
  readonly maxUnprojected?: ProjectorOptions['most']
  /** A session that nothing was heard of for so long leaves the bus (SESSION_HIBERNATE_AFTER). */
  readonly hibernateAfterMs: number
  readonly logger: Logger
  readonly metrics: WorkerMetrics
  /** Nothing is traced when left out. */
  readonly tracing?: Tracing | undefined
  readonly now: () => Date
}
