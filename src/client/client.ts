/**
 * The client of the service, for browsers and Node. It keeps its sessions across lost connections: events and text arrive
 * in order and once, and what was asked takes effect once.
 *
 *   const client = await connect({ url: 'ws://127.0.0.1:8787' })
 *   const session = await client.spawn({ task: 'count the lines of README.md' })
 *   for await (const message of session) …
 */
import type { ApprovalDecision, ListedApproval } from '../protocol/approvals.js'
import type { ClientMessageInput, Position } from '../protocol/commands.js'
import type { ServerMessage } from '../protocol/events.js'
import type { DelegationResult } from '../protocol/federation.js'
import type { CommandAccepted, DaemonStatus } from '../protocol/replies.js'
import type { ScheduledTask } from '../protocol/schedule.js'
import type { Session, TaskInput } from '../protocol/session.js'
import type {
  ApprovalList,
  PayloadOf,
  RoutedTask,
  RouteNeeds,
  ScheduleRequest,
  SessionList,
  SpawnRequest,
  TaskList,
} from './asked.js'
import { ClientError } from './client-error.js'
import { FROM_START } from './continuity.js'
import { newId } from './new-id.js'
import { ReconnectingLink, type TokenSource } from './reconnect.js'
import { Requests } from './requests.js'
import { SessionHandle, type SessionLink } from './session.js'
import { findWebSocket, type WebSocketConstructor } from './web-socket.js'

export type { ApprovalDecision, ListedApproval } from '../protocol/approvals.js'
export type { Position } from '../protocol/commands.js'
export type { LoggedEvent, ServerMessage } from '../protocol/events.js'
export type { DelegationResult } from '../protocol/federation.js'
export type { CommandAccepted, DaemonStatus } from '../protocol/replies.js'
export type { ScheduledTask } from '../protocol/schedule.js'
export type { Session, SessionOptions, SessionType, TaskInput, TimedTaskInput } from '../protocol/session.js'
export type {
  ApprovalList,
  RoutedTask,
  RouteNeeds,
  ScheduleRequest,
  SessionList,
  SpawnRequest,
  TaskList,
} from './asked.js'
export { ClientError, type ClientErrorCode } from './client-error.js'
export { FROM_START } from './continuity.js'
export type { TokenSource } from './reconnect.js'
export { SessionHandle, type TaskEnd } from './session.js'
export type { WebSocketConstructor, WebSocketLike } from './web-socket.js'

const CONNECT_TIMEOUT_MS = 10_000
/** Pause before a session is watched again that the service could not show for the moment. */
const WATCH_AGAIN_MS = 1_000

export interface ConnectOptions {
  /** One address, or several of the same service: the client moves on when one is lost. */
  readonly url?: string
  readonly urls?: readonly string[]
  /** A function is asked before each connection, so that it can return a fresh token. */
  readonly token?: TokenSource
  /** Default: in Node the package `ws`, elsewhere the platform's WebSocket. */
  readonly webSocket?: WebSocketConstructor
  /** Bound of the first connection, in ms; default 10 s. */
  readonly connectTimeoutMs?: number
  /** Told when a connection that stood is lost, and when the next one stands: for showing, nothing needs to be done. */
  readonly onConnection?: (state: 'lost' | 'restored') => void
  /** Where in a trace (W3C) the program stands when it asks for something; the service's own spans hang there. */
  readonly traceparent?: () => string | undefined
}

/**
 * @throws ClientError `connection_failed` when no address answers in time; at once with the service's reason, such as
 *   `jwt_expired`, when it refuses the credential. Later refusals end the client in the same way. A browser does not tell
 *   them from a lost network: there it is `connection_failed`, or another attempt.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const urls = options.urls ?? (options.url === undefined ? [] : [options.url])
  if (urls.length === 0) throw new TypeError('connect needs a url')
  const webSocket = options.webSocket ?? (await findWebSocket())
  const client = new Client(urls, options.token, webSocket, options)
  await client.opened(options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS)
  return client
}

export class Client implements SessionLink {
  readonly #link: ReconnectingLink
  readonly #requests: Requests
  readonly #sessions = new Map<string, SessionHandle>()
  readonly #urls: readonly string[]
  readonly #onConnection: ConnectOptions['onConnection']
  #onFirstOpen: (() => void) | undefined
  #onEnd: ((error: ClientError) => void) | undefined

  /** Made by `connect`. */
  constructor(
    urls: readonly string[],
    token: TokenSource | undefined,
    webSocket: WebSocketConstructor,
    { onConnection, traceparent }: Pick<ConnectOptions, 'onConnection' | 'traceparent'> = {},
  ) {
    this.#urls = urls
    this.#onConnection = onConnection
    this.#link = new ReconnectingLink(
      { urls, token, webSocket },
      {
        onOpen: () => this.#opened(),
        onFrame: (text) => this.#receive(JSON.parse(text) as ServerMessage),
        onLost: () => onConnection?.('lost'),
        onEnd: (error) => this.#ended(error),
      },
    )
    this.#requests = new Requests((frame) => this.#link.send(frame), traceparent)
  }

  /** Connects for the first time. Called by `connect`. */
  opened(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new ClientError('connection_failed', `no answer from ${this.#urls.join(', ')} in ${timeoutMs} ms`))
        this.close()
      }, timeoutMs)
      this.#onFirstOpen = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#onEnd = (error) => {
        clearTimeout(timer)
        reject(error)
      }
      this.#link.start()
    })
  }

  /** Creates a session. However often the connection is lost meanwhile, it is one. */
  spawn(request: SpawnRequest): Promise<SessionHandle> {
    const idempotencyKey = request.idempotencyKey ?? newId('spawn')
    const { sessionType, orchestratorId, options } = request
    const payload = {
      task: request.task,
      idempotencyKey,
      ...(sessionType !== undefined && { sessionType }),
      ...(orchestratorId !== undefined && { orchestratorId }),
      ...(options !== undefined && { options }),
    }
    return this.#requests.ask(
      { type: 'spawn_session', commandId: idempotencyKey, payload },
      'command_accepted',
      ({ sessionId }) => this.#handle(sessionId, FROM_START),
    )
  }

  /**
   * Watches a session that exists, from a position on (`FROM_START`, or another handle's `position`), or from now.
   * Rejects with `session_not_found` when this client may not see it.
   */
  attach(sessionId: string, from?: Position): Promise<SessionHandle> {
    const known = this.#sessions.get(sessionId)
    if (known) return Promise.resolve(known)
    const payload = { sessionId, ...(from && { from }) }
    return this.#requests.ask({ type: 'subscribe', payload }, 'subscribed', (answer) => {
      const handle = this.#handle(sessionId, from && !answer.reset ? from : { eventId: answer.eventId })
      handle.receive(answer)
      return handle
    })
  }

  /** Figures of the service. */
  status(): Promise<DaemonStatus>
  /** A session as it stands now. */
  status(sessionId: string): Promise<Session>
  status(sessionId?: string): Promise<DaemonStatus | Session> {
    if (sessionId === undefined) {
      return this.#requests.ask({ type: 'daemon_status' }, 'daemon_status_response', (answer) => answer.status)
    }
    const message = { type: 'session_status', payload: { sessionId } } as const
    return this.#requests.ask(message, 'session_status_update', (answer) => answer.session)
  }

  /** The tenant's sessions, newest first. */
  list(page: { readonly limit?: number; readonly cursor?: string } = {}): Promise<SessionList> {
    return this.#requests.ask({ type: 'list_sessions', payload: page }, 'sessions_list', ({ sessions, cursor }) =>
      cursor === undefined ? { sessions } : { sessions, cursor },
    )
  }

  /** Keeps a task until its time has come. However often the connection is lost meanwhile, it is one. */
  schedule(request: ScheduleRequest): Promise<ScheduledTask> {
    const { task, sessionId, sessionType, orchestratorId, options, key: commandId = newId('schedule') } = request
    const spawn = {
      task,
      ...(sessionType && { sessionType }),
      ...(orchestratorId !== undefined && { orchestratorId }),
      ...(options && { options }),
    }
    const message: ClientMessageInput =
      sessionId === undefined
        ? { type: 'spawn_session', commandId, payload: spawn }
        : { type: 'execute_task', commandId, payload: { sessionId, task } }
    return this.#requests.ask(message, 'task_scheduled', scheduledTask)
  }

  /** Tasks that wait: in the inboxes of sessions, and those that are scheduled. */
  tasks(query: PayloadOf<'list_tasks'> = {}): Promise<TaskList> {
    return this.#requests.ask({ type: 'list_tasks', payload: query }, 'tasks_list', ({ tasks, cursor }) =>
      cursor === undefined ? { tasks } : { tasks, cursor },
    )
  }

  /** Tool calls that wait for a person, newest first; those that were decided too with `state: 'all'`. */
  approvals(query: PayloadOf<'list_approvals'> = {}): Promise<ApprovalList> {
    return this.#requests.ask({ type: 'list_approvals', payload: query }, 'approvals_list', ({ approvals, cursor }) =>
      cursor === undefined ? { approvals } : { approvals, cursor },
    )
  }

  /** Answers a request, also of a session that this client does not watch. @throws ClientError `approval_closed` when somebody has */
  async decide(
    { sessionId, approvalId }: Pick<ListedApproval, 'sessionId' | 'approvalId'>,
    decision: ApprovalDecision,
    comment?: string,
  ): Promise<void> {
    const payload = { sessionId, approvalId, decision, ...(comment !== undefined && { comment }) }
    await this.command({ type: 'approval_decision', commandId: newId('cmd'), payload })
  }

  /** Cancels a scheduled task that waits, and what is left of a repeated one. */
  cancelScheduled(scheduleId: string): Promise<ScheduledTask> {
    return this.#requests.ask({ type: 'cancel_scheduled', payload: { scheduleId } }, 'task_scheduled', scheduledTask)
  }

  /** Who would get this task and where it would start now; nothing is created. */
  route(task: TaskInput, needs: RouteNeeds = {}): Promise<RoutedTask> {
    const message = { type: 'route_task', payload: { ...needs, task } } as const
    return this.#requests.ask(message, 'task_routed', ({ taskId, decision }) => ({ taskId, decision }))
  }

  /**
   * Has a task done by the orchestrator that suits it best, and waits for its end. However often the connection is lost
   * meanwhile, it is one; with the `delegationId` of a former call, its result is returned.
   */
  async delegate(
    task: TaskInput,
    needs: RouteNeeds & { readonly delegationId?: string } = {},
  ): Promise<DelegationResult> {
    const payload = { ...needs, task, execute: true, delegationId: needs.delegationId ?? newId('delegation') }
    for (;;) {
      try {
        return await this.#requests.ask({ type: 'route_task', payload }, 'delegation_result', ({ result }) => result)
      } catch (error) {
        // Nothing is answered within a minute where the task takes longer: asked again, the same is waited for.
        if (!(error instanceof ClientError) || error.code !== 'timeout') throw error
      }
    }
  }

  /** Round trip to the server, in ms. */
  ping(): Promise<number> {
    const before = performance.now()
    return this.#requests.ask({ type: 'ping' }, 'pong', () => performance.now() - before)
  }

  /** Ends the connection; sessions go on without this client. */
  close(): void {
    this.#link.close()
  }

  /** Used by session handles. */
  command(message: Parameters<SessionLink['command']>[0]): Promise<CommandAccepted> {
    return this.#requests.ask(message, 'command_accepted', (answer) => answer)
  }

  /** Used by session handles. */
  subscribe(sessionId: string, from: Position): void {
    this.#link.send(JSON.stringify({ type: 'subscribe', payload: { sessionId, from } }))
  }

  /** Used by session handles. */
  leave(sessionId: string): void {
    if (!this.#sessions.delete(sessionId)) return
    this.#link.send(JSON.stringify({ type: 'unsubscribe', payload: { sessionId } }))
  }

  #handle(sessionId: string, from: Position): SessionHandle {
    const known = this.#sessions.get(sessionId)
    if (known) return known
    const handle = new SessionHandle(sessionId, this, from)
    this.#sessions.set(sessionId, handle)
    return handle
  }

  #opened(): void {
    if (this.#onFirstOpen) this.#onFirstOpen()
    else this.#onConnection?.('restored')
    this.#onFirstOpen = undefined
    // First the past, then what is still to be asked: the answers belong behind it.
    for (const session of this.#sessions.values()) session.catchUp()
    this.#requests.resend()
  }

  /** Returns whether it shows that the service works, which its greeting and its errors do not. */
  #receive(message: ServerMessage): boolean {
    if (this.#requests.settle(message)) return message.type !== 'error'
    if (message.type === 'error') {
      this.#announced(message)
      return false
    }
    const sessionId = message.type === 'stream_chunk' ? message.data.sessionId : sessionIdOf(message)
    const session = sessionId === undefined ? undefined : this.#sessions.get(sessionId)
    session?.receive(message)
    if (session?.ended) this.#sessions.delete(session.id)
    return message.type !== 'health_check_response'
  }

  /** An error that answers no question: the server goes away, or a session cannot be watched any more. */
  #announced(message: Extract<ServerMessage, { type: 'error' }>): void {
    if (message.code === 'shutting_down' && message.retryAfterMs !== undefined) {
      this.#link.waitBeforeNext(message.retryAfterMs)
    }
    const session = message.sessionId === undefined ? undefined : this.#sessions.get(message.sessionId)
    if (!session) return
    if (message.retryable) {
      setTimeout(() => session.catchUp(), message.retryAfterMs ?? WATCH_AGAIN_MS)
      return
    }
    session.end(ClientError.fromReply(message))
    this.#sessions.delete(session.id)
  }

  #ended(error: ClientError): void {
    this.#onEnd?.(error)
    this.#requests.failAll(error)
    for (const session of this.#sessions.values()) session.end(error, error.code !== 'closed')
    this.#sessions.clear()
  }
}

function scheduledTask(answer: Extract<ServerMessage, { type: 'task_scheduled' }>): ScheduledTask {
  const { type: _type, requestId: _requestId, ...task } = answer
  return task
}

const sessionIdOf = (message: ServerMessage): string | undefined =>
  'sessionId' in message ? (message.sessionId ?? undefined) : undefined
