/**
 * The library: start a node from a program, and speak its protocol. The client is `@wundr.io/orchestrator-daemon/client`.
 */
export { type Config, ConfigError, type ConfigSources, loadConfig } from './config/load.js'
export { Daemon, type DaemonOptions } from './daemon.js'
export type { ClientMessage, ClientMessageInput, Position } from './protocol/commands.js'
export { ERRORS, type ErrorCode, type ErrorEntry, ServiceError } from './protocol/errors.js'
export type { LoggedEvent, Reply, ServerMessage, StreamChunk } from './protocol/events.js'
export type { Session, SessionStatus, SessionType, Task, TaskInput, TaskStatus } from './protocol/session.js'
export { createLog, type Log, silentLog } from './telemetry/log.js'
export { VERSION } from './version.js'
