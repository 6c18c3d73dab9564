/**
 * The WebSocket door alone, for a program that answers the messages of clients itself: it judges who comes, reads and checks
 * frames as the service does, and tells of each message by an event of its type. A daemon's own door is
 * `daemon.webSocketServer`.
 *
 *   const server = new OrchestratorWebSocketServer(8787)
 *   server.on('execute_task', ({ payload }) => server.streamToClient(payload.sessionId, 'working …'))
 *   await server.start()
 */
import { EventEmitter } from 'node:events'
import type { ApiKey } from '../edge/api-keys.js'
import { Authenticator, type Principal } from '../edge/auth.js'
import { Connection, type ConnectionHandlers, UNCOUNTED } from '../edge/connection.js'
import { Server } from '../edge/server.js'
import { errorReply } from '../protocol/codec.js'
import type { ClientMessage, ClientMessageType } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import { maySend } from '../protocol/permissions.js'

/** Without any of them the door opens for this machine alone. */
export interface WebSocketServerAuth {
  /** Key of the tokens (HS256). */
  readonly jwtSecret?: string
  readonly apiKeys?: readonly ApiKey[]
}

/** A client that is connected; to be handed back, not to be looked into. */
export type WebSocketClient = Connection

type Answered = 'ping' | 'health_check'
/** A message of each type, and who sent it. `ping` and `health_check` are answered here. */
export type WebSocketServerEvents = {
  [T in Exclude<ClientMessageType, Answered>]: [message: Extract<ClientMessage, { type: T }>, client: WebSocketClient]
} & { connection: [client: WebSocketClient]; disconnection: [client: WebSocketClient] }

/** Who a client is. */
export type ClientIdentity = Pick<Principal, 'tenant' | 'subject' | 'role' | 'scopes'>

const MAX_PAYLOAD_BYTES = 1_048_576
const HEARTBEAT_MS = 30_000
/** As of one edge of the service. */
const MAX_CLIENTS = 100_000
/** Sessions that one client may watch, as in the service. */
const MAX_WATCHED = 10_000
const TOKEN_LIFETIME_MS = 3_600_000
const GOING_AWAY = 1001

export class OrchestratorWebSocketServer extends EventEmitter<WebSocketServerEvents> {
  readonly #authenticator: Authenticator
  readonly #server: Server
  readonly #clients = new Map<WebSocketClient, Set<string>>()
  readonly #watchers = new Map<string, Set<WebSocketClient>>()
  #pings: NodeJS.Timeout | undefined

  /** Port 0 takes a free one. */
  constructor(port: number, host = '127.0.0.1', auth: WebSocketServerAuth = {}) {
    super()
    this.#authenticator = new Authenticator({
      ...{ secret: auth.jwtSecret, apiKeys: auth.apiKeys ?? [], mode: 'both', allowLoopback: false },
      ...{ issuer: 'wundr-orchestrator', audience: 'wundr-daemon', tokenLifetimeMs: TOKEN_LIFETIME_MS },
    })
    const handlers: ConnectionHandlers = {
      onMessage: (client, message) => this.#take(client, message),
      onRoom: () => undefined,
      metrics: UNCOUNTED,
    }
    const settings = { host, port, healthPath: '/health', maxPayloadBytes: MAX_PAYLOAD_BYTES }
    this.#server = new Server(
      { ...settings, heartbeatIntervalMs: HEARTBEAT_MS },
      {
        admit: (credentials) =>
          this.#clients.size < MAX_CLIENTS
            ? this.#authenticator.authenticate(credentials)
            : { ok: false, reason: 'edge_full' },
        onOpen: (socket, principal) => this.#opened(new Connection(socket, principal, handlers)),
        onClose: (client) => this.#closed(client),
        trace: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      },
    )
  }

  /** The port it listens on. */
  get port(): number {
    return this.#server.port
  }

  /** @throws Error when the port cannot be had. */
  async start(): Promise<void> {
    await this.#server.listen()
    this.#pings = setInterval(() => {
      for (const client of this.#clients.keys()) client.ping()
    }, HEARTBEAT_MS)
  }

  /** Sends everybody away and closes the port. May be called twice. */
  async stop(): Promise<void> {
    clearInterval(this.#pings)
    this.#server.stopListening()
    for (const client of [...this.#clients.keys()]) client.end(GOING_AWAY, 'Server shutting down')
    this.#server.close()
  }

  send(client: WebSocketClient, message: object): void {
    client.push(JSON.stringify(message))
  }

  /** An error of the table, or a sentence. */
  sendError(client: WebSocketClient, error: ServiceError | string, sessionId?: string): void {
    const about = sessionId === undefined ? {} : { sessionId }
    this.send(client, error instanceof ServiceError ? errorReply(error, about) : { type: 'error', error, ...about })
  }

  broadcast(message: object): void {
    const frame = JSON.stringify(message)
    for (const client of this.#clients.keys()) client.push(frame)
  }

  /** From now on the client hears what is said of the session. Whoever gives it a task does so by itself. */
  subscribeClientToSession(client: WebSocketClient, sessionId: string): void {
    const sessions = this.#clients.get(client)
    if (!sessions || sessions.size >= MAX_WATCHED) return
    sessions.add(sessionId)
    const watchers = this.#watchers.get(sessionId) ?? new Set()
    this.#watchers.set(sessionId, watchers.add(client))
  }

  streamToClient(sessionId: string, chunk: string, metadata: object = {}): void {
    this.#tell(sessionId, { type: 'stream_chunk', data: { sessionId, chunk, metadata } })
  }

  notifyStreamStart(sessionId: string, metadata: object = {}): void {
    this.#tell(sessionId, { type: 'stream_start', sessionId, metadata })
  }

  notifyStreamEnd(sessionId: string, metadata: object = {}): void {
    this.#tell(sessionId, { type: 'stream_end', sessionId, metadata })
  }

  notifyToolExecution(
    sessionId: string,
    call: { readonly toolName: string; readonly status: 'started' | 'completed' | 'failed' } & Record<string, unknown>,
  ): void {
    const type = call.status === 'started' ? 'tool_call_start' : 'tool_call_result'
    this.#tell(sessionId, { type, data: { sessionId, ...call, timestamp: new Date().toISOString() } })
  }

  notifyTaskExecuting(sessionId: string, taskId: string): void {
    this.#tell(sessionId, { type: 'task_executing', sessionId, taskId })
  }

  notifyTaskCompleted(sessionId: string, taskId: string, result?: unknown): void {
    this.#tell(sessionId, { type: 'task_completed', sessionId, taskId, result })
  }

  notifyTaskFailed(sessionId: string, taskId: string, error: string): void {
    this.#tell(sessionId, { type: 'task_failed', sessionId, taskId, error })
  }

  getClientCount(): number {
    return this.#clients.size
  }

  getSessionClientCount(sessionId: string): number {
    return this.#watchers.get(sessionId)?.size ?? 0
  }

  /** Sessions that some client watches. */
  getActiveSessionIds(): readonly string[] {
    return [...this.#watchers.keys()]
  }

  getSessionClients(sessionId: string): readonly WebSocketClient[] {
    return [...(this.#watchers.get(sessionId) ?? [])]
  }

  getClientIdentity(client: WebSocketClient): ClientIdentity {
    const { tenant, subject, role, scopes } = client.principal
    return { tenant, subject, role, ...(scopes && { scopes }) }
  }

  /** Whether clients must show a credential. */
  isAuthEnabled(): boolean {
    return !this.#authenticator.localOnly
  }

  #opened(client: WebSocketClient): WebSocketClient {
    this.#clients.set(client, new Set())
    this.emit('connection', client)
    return client
  }

  #closed(client: WebSocketClient): void {
    client.closed()
    for (const sessionId of this.#clients.get(client) ?? []) this.#leave(client, sessionId)
    this.#clients.delete(client)
    this.emit('disconnection', client)
  }

  #leave(client: WebSocketClient, sessionId: string): void {
    const watchers = this.#watchers.get(sessionId)
    watchers?.delete(client)
    if (watchers?.size === 0) this.#watchers.delete(sessionId)
    this.#clients.get(client)?.delete(sessionId)
  }

  #take(client: WebSocketClient, message: ClientMessage): undefined {
    const refused = refusalOf(client.principal, message.type)
    if (refused) this.sendError(client, refused)
    else if (message.type === 'ping') this.send(client, { type: 'pong' })
    else if (message.type === 'health_check') this.send(client, { type: 'health_check_response', healthy: true })
    else this.#pass(client, message)
  }

  #pass(client: WebSocketClient, message: Exclude<ClientMessage, { type: Answered }>): void {
    if (message.type === 'execute_task') this.subscribeClientToSession(client, message.payload.sessionId)
    if (message.type === 'stop_session' || message.type === 'unsubscribe')
      this.#leave(client, message.payload.sessionId)
    // The compiler cannot pair the type of a message with its event; both come from the same table.
    const isHeard = this.emit(message.type, ...([message, client] as never))
    if (!isHeard) this.sendError(client, new ServiceError('unknown_type'))
  }

  #tell(sessionId: string, message: object): void {
    const frame = JSON.stringify(message)
    for (const client of this.#watchers.get(sessionId) ?? []) client.push(frame)
  }
}

const ignore = (): void => undefined

function refusalOf(principal: Principal, type: ClientMessageType): ServiceError | undefined {
  if (principal.expiresAt !== undefined && Date.now() >= principal.expiresAt) return new ServiceError('token_expired')
  return maySend(principal, type) ? undefined : new ServiceError('forbidden', { action: type })
}
