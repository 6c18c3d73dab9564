/**
 * What each message of a client leads to: one function per verb. Whoever is not allowed, or asks about a session that is
 * not theirs, hears so before anything happens.
 */
import { randomUUID } from 'node:crypto'
import type { Command } from '../bus/command.js'
import { errorReply } from '../protocol/codec.js'
import type { ClientMessage, ClientMessageType } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { SessionId } from '../protocol/ids.js'
import { maySend } from '../protocol/permissions.js'
import type { Reply } from '../protocol/replies.js'
import { timingOf } from '../protocol/schedule.js'
import type { Span, Tracing } from '../telemetry/tracing.js'
import type { Authenticator, Principal } from './auth.js'
import type { Client } from './client.js'
import { receivedSpan } from './command-trace.js'
import type { EdgeAudit, EdgeLog } from './dependencies.js'
import {
  type CommandMessage,
  commandOf,
  identified,
  type Message,
  placeOf,
  requestIdOf,
  sessionIdOf,
} from './message.js'
import { echo, type Queries } from './queries.js'
import type { Routing } from './routing.js'
import type { ApprovalDecisions } from './rows.js'
import type { SessionDirectory } from './session-directory.js'
import type { Spawn } from './spawn.js'
import type { Submissions } from './submissions.js'
import type { Subscriptions } from './subscriptions.js'
import type { TaskQueue } from './task-queue.js'

export interface DispatchDependencies {
  readonly authenticator: Authenticator
  readonly directory: SessionDirectory
  readonly subscriptions: Subscriptions
  readonly submissions: Submissions
  readonly spawn: Spawn
  readonly queries: Queries
  readonly approvals: ApprovalDecisions
  readonly audit?: EdgeAudit | undefined
  /** A client may not do this, or brought a credential that is none. */
  readonly onDenied?: (principal: Principal, what: string) => void
  readonly routing: Routing
  readonly tasks: TaskQueue
  readonly trace: EdgeLog
  readonly tracing?: Tracing | undefined
  /** The principal of a client has changed: its right ends at another time. */
  readonly onRenewed: (client: Client) => void
}

/** A spawn takes some ms. One that waits for the database no longer holds up what its client sent after it. */
const SPAWN_IN_ORDER_MS = 1_000

export class Dispatch {
  readonly #deps: DispatchDependencies

  constructor(deps: DispatchDependencies) {
    this.#deps = deps
  }

  /** Carries out a message and answers it; what goes wrong becomes an `error` frame. Never throws or rejects. */
  handle(client: Client, message: ClientMessage): Promise<void> | undefined {
    const { tracing } = this.#deps
    const span = tracing && receivedSpan(tracing, client.principal.tenant, message)
    // What follows from it hangs under the span.
    return span
      ? this.#begin(client, { ...message, traceparent: span.traceparent }, span)
      : this.#begin(client, message)
  }

  #begin(client: Client, message: ClientMessage, span?: Span): Promise<void> | undefined {
    try {
      checkPermission(client.principal, message.type)
      if (message.auth) this.#checkAuth(message.auth, client.principal)
      const work = this.#carryOut(client, message, span)
      return work?.catch((error: unknown) => this.#fail(client, message, error, span))
    } catch (error) {
      this.#fail(client, message, error, span)
      return undefined
    }
  }

  #carryOut(client: Client, message: ClientMessage, span: Span | undefined): Promise<void> | undefined {
    const { principal } = client
    const requestId = requestIdOf(message)
    switch (message.type) {
      case 'spawn_session':
        return inOrderFor(SPAWN_IN_ORDER_MS, this.#spawn(client, message, span))
      case 'execute_task':
      case 'stop_session':
      case 'complete_session':
      case 'pause_session':
      case 'resume_session':
      case 'cancel_task':
        return ended(span, this.#command(client, message))
      case 'approval_decision':
        return ended(span, this.#decide(client, message))
      case 'subscribe':
        return this.#subscribe(client, message)
      case 'unsubscribe':
        return this.#unsubscribe(client, message)
      case 'session_status':
        return this.#answer(client, this.#deps.queries.sessionStatus(message.payload.sessionId, principal, requestId))
      case 'list_tasks':
        return this.#answer(client, this.#deps.tasks.list(principal, message))
      case 'list_approvals':
        return this.#answer(client, this.#deps.queries.listApprovals(message, principal, requestId))
      case 'cancel_scheduled':
        return this.#deps.tasks.cancel(client, message)
      case 'list_sessions':
        return this.#answer(client, this.#deps.queries.listSessions(message, principal, requestId))
      case 'daemon_status':
        return this.#answer(client, this.#deps.queries.daemonStatus(requestId))
      case 'token_refresh':
        return this.#refreshToken(client, message)
      case 'route_task':
        return ended(span, this.#deps.routing.carryOut(client, message))
      case 'health_check':
        return reply(client, { type: 'health_check_response', healthy: true, ...echo(requestId) })
      case 'ping':
        return reply(client, { type: 'pong', ...echo(requestId) })
    }
  }

  /** Answers a failure itself: it may come when the client has gone on to other messages. */
  async #spawn(client: Client, message: Message<'spawn_session'>, span: Span | undefined): Promise<void> {
    try {
      const timing = timingOf(message.payload.task)
      if (timing) await this.#deps.tasks.spawn(client, message, timing)
      else await this.#deps.spawn.carryOut(client, message)
      span?.end()
    } catch (error) {
      this.#fail(client, message, error, span)
    }
  }

  /** The usual case, a session that this client already watches, runs without waiting for anything. */
  #command(client: Client, message: CommandMessage): Promise<void> | undefined {
    const { sessionId } = message.payload
    const timing = message.type === 'execute_task' ? timingOf(message.payload.task) : undefined
    if (timing && message.type === 'execute_task') {
      return this.#watch(client, sessionId).then(() => this.#deps.tasks.execute(client, message, timing))
    }
    const known = this.#deps.directory.isKnownTo(client.principal, sessionId)
    if (known && (!client.staysOn || this.#deps.subscriptions.isSubscribed(sessionId, client))) {
      this.#submit(client, message, commandOf(message))
      return undefined
    }
    return this.#watch(client, sessionId).then(() => this.#submit(client, message, commandOf(message)))
  }

  /** Whoever gives a session work sees what comes of it. */
  async #watch(client: Client, sessionId: SessionId): Promise<void> {
    await this.#deps.directory.checkAccess(sessionId, client.principal)
    if (!client.isOpen || !client.staysOn || this.#deps.subscriptions.isSubscribed(sessionId, client)) return
    await this.#deps.subscriptions.subscribe(sessionId, client, 'now')
  }

  /** Decided in Postgres first, once; the command only tells the worker, and may be repeated. */
  async #decide(client: Client, message: Message<'approval_decision'>): Promise<void> {
    const { principal } = client
    const { sessionId, approvalId, decision, comment } = message.payload
    await this.#watch(client, sessionId)
    const command = { ...identified(message), type: 'approval', approvalId } as const
    const result = await this.#deps.approvals.decide({
      ...{ id: approvalId, tenant: principal.tenant, sessionId, decision, comment },
      ...{ by: principal.subject, isAdmin: principal.role === 'admin', decisionId: command.id },
    })
    if (result.status === 'missing') throw new ServiceError('approval_not_found', { approvalId })
    if (result.status === 'closed') throw new ServiceError('approval_closed', { approvalId, status: result.state })
    if (result.status === 'forbidden')
      throw new ServiceError('forbidden', { action: 'answer what the charter escalates' })
    this.#submit(client, message, command)
  }

  #submit(client: Client, message: CommandMessage | Message<'approval_decision'>, command: Command): void {
    const { sessionId } = message.payload
    const { tenant, subject: actor } = client.principal
    const body = JSON.stringify(command)
    if (command.type === 'stop') {
      this.#deps.audit?.add({ tenant, actor, action: 'session.stop', sessionId, subject: command.id, detail: {} })
    }
    this.#deps.submissions.submit(
      { sessionId, commandId: command.id, type: command.type, tenant, fresh: false, body },
      { client, requestId: requestIdOf(message), commandId: message.commandId, traceparent: command.traceparent },
    )
    const taskId = message.type === 'cancel_task' ? message.payload.taskId : undefined
    if (taskId !== undefined) this.#deps.tasks.cancelWaiting(client.principal, sessionId, taskId)
  }

  async #subscribe(client: Client, message: Message<'subscribe'>): Promise<void> {
    const { sessionId, from } = message.payload
    await this.#deps.directory.checkAccess(sessionId, client.principal)
    if (!client.isOpen) return
    const place = from === undefined ? 'now' : placeOf(from)
    // Not awaited: history may be long, and the client's next message need not wait for it.
    void this.#deps.subscriptions.subscribe(sessionId, client, place, { requestId: requestIdOf(message) })
  }

  async #unsubscribe(client: Client, message: Message<'unsubscribe'>): Promise<void> {
    const { sessionId } = message.payload
    if (!this.#deps.subscriptions.unsubscribe(sessionId, client)) {
      await this.#deps.directory.checkAccess(sessionId, client.principal)
    }
    reply(client, { type: 'unsubscribed', sessionId, ...echo(requestIdOf(message)) })
  }

  /** With a new token in the message, that one counts from now on; else one of ours is signed. */
  async #refreshToken(client: Client, message: Message<'token_refresh'>): Promise<void> {
    const { authenticator, onRenewed } = this.#deps
    const given = message.auth?.token
    const { token, ...right } =
      given === undefined
        ? await authenticator.issueToken(client.principal)
        : { token: given, ...authenticator.extend(client.principal, given) }
    client.principal = { ...client.principal, ...right }
    onRenewed(client)
    const end = new Date(right.expiresAt).toISOString()
    reply(client, { type: 'token_refreshed', token, expiresAt: end, ...echo(requestIdOf(message)) })
  }

  /** A message may bring a credential of its own: it must be good, but it does not change who the client is. */
  #checkAuth(auth: NonNullable<ClientMessage['auth']>, principal: Principal): void {
    if (this.#deps.authenticator.localOnly || (auth.token === undefined && auth.apiKey === undefined)) return
    const verdict = this.#deps.authenticator.verify(auth)
    if (verdict.ok) return
    this.#deps.onDenied?.(principal, verdict.reason)
    throw new ServiceError(verdict.reason)
  }

  async #answer(client: Client, question: Promise<Reply>): Promise<void> {
    reply(client, await question)
  }

  #fail(client: Client, message: ClientMessage, error: unknown, span?: Span): void {
    span?.end({ error: error instanceof ServiceError ? error.code : 'internal' })
    const about = { requestId: requestIdOf(message), sessionId: sessionIdOf(message), commandId: message.commandId }
    if (error instanceof ServiceError) {
      if (error.code === 'forbidden') this.#deps.onDenied?.(client.principal, message.type)
      client.push(JSON.stringify(errorReply(error, about)))
      return
    }
    const incident = randomUUID()
    this.#deps.trace.error({ err: error, incident, type: message.type, ...about }, 'a message could not be carried out')
    client.push(JSON.stringify(errorReply(new ServiceError('internal', { incident }, { cause: error }), about)))
  }
}

function checkPermission(principal: Principal, type: ClientMessageType): void {
  if (!maySend(principal, type)) throw new ServiceError('forbidden', { action: type })
}

function reply(client: Client, frame: Reply): undefined {
  client.push(JSON.stringify(frame))
}

/** Ends the span with the work, unless that fails. */
function ended(span: Span | undefined, work: Promise<void> | undefined): Promise<void> | undefined {
  if (span && work) return work.then(() => span.end())
  span?.end()
  return work
}

/** Resolves with the work, which never fails, or when it has taken too long; the work goes on. */
export function inOrderFor(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    void work.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
