/**
 * The library: run a node inside a program, and speak its protocol. The client is
 * `@wundr.io/orchestrator-daemon/client`.
 */
export { ClientError, type ClientErrorCode, type RoutedTask, type TaskEnd } from './client/client.js'
export { type Config, ConfigError, type ConfigSources, loadConfig } from './config/load.js'
export type { OrchestratorDaemonConfig } from './library/daemon-config.js'
export type { DaemonDoor } from './library/daemon-door.js'
export {
  type BroadcastOptions,
  FederationCoordinator,
  FederationCoordinator as OrchestratorFederation,
  type FederationEvents,
  type FederationMetricsSnapshot,
} from './library/federation-coordinator.js'
export type { MemoryEntry, MemoryEntryInput, TranscriptTurn } from './library/memory-entry.js'
export {
  type Compaction,
  type HybridSearchOptions,
  MemoryManager,
  type MemoryManagerOptions,
} from './library/memory-manager.js'
export type { MemoryContext, MemorySnapshot } from './library/memory-snapshot.js'
export {
  OrchestratorDaemon,
  type OrchestratorDaemonEvents,
  type OrchestratorDaemonOptions,
} from './library/orchestrator-daemon.js'
export type { SessionEvents } from './library/session-events.js'
export { SessionManager } from './library/session-manager.js'
export {
  type BudgetCheck,
  type BudgetPeriod,
  type OverrideRequest,
  type TokenReservation,
  TokenTracker,
  TokenTracker as TokenBudgetTracker,
  type TokenTrackerEvents,
} from './library/token-tracker.js'
export {
  type ClientIdentity,
  OrchestratorWebSocketServer,
  type WebSocketClient,
  type WebSocketServerAuth,
  type WebSocketServerEvents,
} from './library/web-socket-server.js'
export { NeolithApiClient, type NeolithApiConfig, NeolithError } from './neolith/api-client.js'
export type { ListedApproval } from './protocol/approvals.js'
export type {
  BudgetStatus,
  BudgetUse,
  CostEstimate,
  UsageAnomaly,
  UsageBreakdown,
  UsageInput,
  UsageReport,
  UsageReportInput,
  UsageSums,
} from './protocol/budgets.js'
export type { ClientMessage, ClientMessageInput, Position } from './protocol/commands.js'
export { ERRORS, type ErrorCode, type ErrorEntry, ServiceError } from './protocol/errors.js'
export type { LoggedEvent, ServerMessage, StreamChunk } from './protocol/events.js'
export type {
  DelegationFailure,
  DelegationInput,
  DelegationResult,
  Orchestrator,
  OrchestratorLoad,
  OrchestratorQuery,
  OrchestratorStatus,
  RegistrationInput,
} from './protocol/federation.js'
export type { DaemonStatus, Reply } from './protocol/replies.js'
export type {
  QueuedTask,
  ScheduledTask,
  ScheduleState,
  SessionTaskEntry,
  WaitingFor,
} from './protocol/schedule.js'
export type {
  Session,
  SessionMetrics,
  SessionOptions,
  SessionStatus,
  SessionType,
  Task,
  TaskInput,
  TaskStatus,
  TimedTaskInput,
} from './protocol/session.js'
export { createLog, type Log, silentLog } from './telemetry/log.js'
export { VERSION } from './version.js'
