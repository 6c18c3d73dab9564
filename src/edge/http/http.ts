/**
 * The HTTP door: requests of the table in `protocol/rest`, let in by the same locks as a WebSocket, and carried out by the
 * same dispatch.
 *
 *   request → routes → who is it → may it (role, allowance) → is it well-formed → handler → caller → dispatch
 *                                                                        └ stream → connection → dispatch
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { randomUUID } from 'node:crypto'
import { errorReply } from '../../protocol/codec.js'
import type { ClientMessage } from '../../protocol/commands.js'
import { corsHeaders } from '../../protocol/cors.js'
import { ServiceError } from '../../protocol/errors.js'
import { maySend } from '../../protocol/permissions.js'
import type { Endpoint } from '../../protocol/rest/endpoint.js'
import { ENDPOINTS, type EndpointName } from '../../protocol/rest/endpoints.js'
import type { Credentials, Principal } from '../auth.js'
import { Caller, type Dispatcher, Refusal } from '../caller.js'
import type { Connection, Socket } from '../connection.js'
import { answerPreflight, EXPOSED } from '../cors.js'
import type { EdgeLog } from '../dependencies.js'
import type { DoorVerdict, Visit } from '../door.js'
import type { Answer, Header } from './answer.js'
import { EventStream } from './event-stream.js'
import { type Body, Exchange, GONE, TOO_LARGE } from './exchange.js'
import type { Asked, HandledName, Handlers } from './handlers.js'
import { checked, type Head, headOf, keyOf, parsed, refuseNul } from './head.js'
import { problem } from './problems.js'
import { match } from './routes.js'
import { positionOf } from './stream-position.js'

export interface HttpDoorParts {
  readonly handlers: Handlers
  readonly dispatcher: Dispatcher
  /** Who sends a request; whether one more connection of it is welcome is not asked. */
  readonly identify: (credentials: Credentials) => DoorVerdict
  /** Begins a request of a principal; give it back with `leave`. @throws ServiceError `busy` */
  readonly enter: (principal: Principal) => Visit
  /** For what stays: the same as for a WebSocket. */
  readonly admit: (credentials: Credentials) => DoorVerdict
  readonly onOpen: (socket: Socket, principal: Principal) => Connection
  readonly onClose: (connection: Connection) => void
  /** A principal asked for what its role or scopes do not open. */
  readonly onForbidden: (principal: Principal, action: string) => void
  readonly maxBodyBytes: number
  /** Origins whose pages may read answers; undefined: none, and preflights are not answered. */
  readonly corsOrigins: readonly string[] | undefined
  /** A request was answered; `path` is the endpoint's, never what a stranger asked for. */
  readonly onServed: (method: string, path: string, status: number, seconds: number) => void
  readonly trace: EdgeLog
}

/** Requests of all clients that have no answer yet. */
const MAX_REQUESTS = 4_096
/** Bodies of them together: of many large ones the last ones are refused. */
const MAX_BODY_BYTES = 64 * 1024 * 1024
const ALWAYS: readonly Header[] = [
  ['x-content-type-options', 'nosniff'],
  ['cache-control', 'no-store'],
]
const MS_PER_SECOND = 1_000

export class HttpDoor {
  readonly #parts: HttpDoorParts
  #requests = 0
  #bodyBytes = 0

  constructor(parts: HttpDoorParts) {
    this.#parts = parts
  }

  /** Requests that have no answer yet. */
  get open(): number {
    return this.#requests
  }

  /** Takes a request whose path is one of the table's. False for any other: somebody else may know it. */
  handle(res: HttpResponse, req: HttpRequest): boolean {
    const { corsOrigins } = this.#parts
    const path = req.getUrl()
    const method = req.getMethod().toUpperCase()
    const isHead = method === 'HEAD'
    const found = match(isHead ? 'GET' : method, path)
    if (!found && !path.startsWith('/api/')) return false
    if (corsOrigins && answerPreflight(res, req, corsOrigins)) return true
    const cors = corsHeaders(req.getHeader('origin'), corsOrigins ?? [])
    const exchange = new Exchange(res, { isHead, headers: [...ALWAYS, ...cors, ...(cors.length > 0 ? [EXPOSED] : [])] })
    if (!found) exchange.send(refusal(new ServiceError('not_found', { path })))
    else if ('methods' in found || (isHead && found.name === 'streamEvents')) {
      const allowed = 'methods' in found ? found.methods : ['GET']
      const error = new ServiceError('method_not_allowed', { path, method })
      exchange.send(refusal(error, [['allow', allowed.join(', ')]]))
    } else if (found.name === 'streamEvents') this.#stream(exchange, headOf(res, req, found.params))
    else void this.#serve(exchange, found.name, headOf(res, req, found.params))
    return true
  }

  /** Never rejects. Begins to read the body before anything is waited for. */
  async #serve(exchange: Exchange, name: HandledName, head: Head): Promise<void> {
    const startedAt = performance.now()
    const { takeBytes, release } = this.#count(exchange)
    const answer = await this.#carryOut(exchange, name, head, takeBytes).catch((error) => this.#problemOf(error, name))
    release()
    if (!answer) return
    exchange.send(answer)
    const seconds = (performance.now() - startedAt) / MS_PER_SECOND
    this.#parts.onServed(head.method, ENDPOINTS[name].path, answer.status, seconds)
  }

  /** A request counts until it is carried out and its answer has been read, whichever comes last. */
  #count(exchange: Exchange) {
    let taken = 0
    this.#requests += 1
    const release = whenBoth(() => {
      this.#requests -= 1
      this.#bodyBytes -= taken
    })
    exchange.onEnd(release)
    const takeBytes = (bytes: number): boolean => {
      taken += bytes
      this.#bodyBytes += bytes
      return this.#bodyBytes <= MAX_BODY_BYTES
    }
    return { takeBytes, release }
  }

  async #carryOut(
    exchange: Exchange,
    name: HandledName,
    head: Head,
    takeBytes: (bytes: number) => boolean,
  ): Promise<Answer | undefined> {
    const endpoint: Endpoint = ENDPOINTS[name]
    const body = endpoint.body && exchange.readBody(this.#parts.maxBodyBytes, takeBytes)
    if (this.#requests > MAX_REQUESTS) throw new ServiceError('edge_full')
    if (endpoint.action === undefined) return this.#answer(name, ANYBODY, exchange, head, undefined)
    const principal = known(this.#parts.identify(head.credentials))
    const visit = this.#parts.enter(principal)
    const leave = whenBoth(() => visit.leave())
    exchange.onEnd(leave)
    try {
      const refusedForMs = await visit.take()
      if (refusedForMs !== undefined) throw new ServiceError('rate_limit_exceeded', { retryAfterMs: refusedForMs })
      const denied = [endpoint.action, ...(endpoint.alsoNeeds ?? [])].find((action) => !maySend(principal, action))
      if (denied !== undefined) {
        this.#parts.onForbidden(principal, denied)
        throw new ServiceError('forbidden', { action: denied })
      }
      return await this.#answer(name, principal, exchange, head, body)
    } finally {
      leave()
    }
  }

  async #answer(
    name: HandledName,
    principal: Principal,
    exchange: Exchange,
    head: Head,
    body: Promise<Body> | undefined,
  ): Promise<Answer | undefined> {
    const endpoint: Endpoint = ENDPOINTS[name]
    const given = await body
    if (given === GONE) return undefined
    if (given === TOO_LARGE) throw new ServiceError('message_too_large', { limit: this.#parts.maxBodyBytes })
    refuseNul(head.params, head.query)
    const caller = new Caller(this.#parts.dispatcher, principal, head.traceparent)
    exchange.onEnd(() => caller.leave())
    const asked = {
      ...{ caller, principal, knownTag: head.knownTag, key: endpoint.takesKey ? keyOf(head) : undefined },
      params: checked(endpoint.params, head.params),
      query: checked(endpoint.query, head.query),
      body: endpoint.body && checked(endpoint.body, parsed(given)),
    }
    // The row and the handler have the same name, and with it the same shapes.
    const handler = this.#parts.handlers[name] as (asked: Asked<HandledName>) => Promise<Answer> | Answer
    return await handler(asked as Asked<HandledName>)
  }

  #stream(exchange: Exchange, head: Head): void {
    try {
      this.#open(exchange, head)
    } catch (error) {
      exchange.send(this.#problemOf(error, 'streamEvents'))
    }
  }

  /** From here on it is a connection like any other: counted, limited, pinged, drained, and dropped when it reads nothing. */
  #open(exchange: Exchange, head: Head): void {
    const principal = known(this.#parts.admit(head.credentials))
    const { params, query } = ENDPOINTS.streamEvents
    refuseNul(head.params)
    const { sessionId } = checked(params, head.params)
    const given = head.lastEventId === '' ? head.query : { ...head.query, after: head.lastEventId }
    const { after } = checked(query, given)
    const from = after === undefined ? undefined : positionOf(after)
    const stream = new EventStream(exchange, from)
    const connection = this.#parts.onOpen(stream, principal)
    stream.connection = connection
    exchange.onEnd(() => this.#parts.onClose(connection))
    const message: ClientMessage = { type: 'subscribe', payload: { sessionId, ...(from && { from }) } }
    connection.receive(JSON.stringify(message))
  }

  #problemOf(error: unknown, name: EndpointName): Answer {
    if (error instanceof Refusal) return problem(error.reply)
    if (error instanceof ServiceError) return refusal(error)
    const incident = randomUUID()
    this.#parts.trace.error({ err: error, incident, endpoint: name }, 'a request could not be carried out')
    return refusal(new ServiceError('internal', { incident }, { cause: error }))
  }
}

function known(verdict: DoorVerdict): Principal {
  if (!verdict.ok) throw new ServiceError(verdict.reason, { retryAfterMs: verdict.retryAfterMs })
  return verdict.principal
}

/** Runs what it is given when it has been called for the second time. */
function whenBoth(run: () => void): () => void {
  let calls = 0
  return () => {
    calls += 1
    if (calls === 2) run()
  }
}

/** Whoever asks what everybody may know. */
const ANYBODY: Principal = { tenant: '-', subject: '-', role: 'readonly', scopes: [], expiresAt: undefined }

const refusal = (error: ServiceError, headers: readonly Header[] = []): Answer => problem(errorReply(error), headers)
