/**
 * One connection at /daemon/ws: it says who it is within 10 s, shows every so often that it is alive, and is told what it
 * subscribed to until it acknowledges. Everything else about it is that of any connection.
 */
import { randomUUID } from 'node:crypto'
import { ERRORS, type ErrorCode, ServiceError } from '../../protocol/errors.js'
import {
  authErrorOf,
  FEED_CLOSE,
  type FeedClose,
  type FeedMessage,
  feedErrorOf,
  feedEventsOf,
  feedMessageSchema,
} from '../../protocol/event-feed.js'
import { LOGGED_EVENT_TYPES, type LoggedEvent, type ServerMessage } from '../../protocol/events.js'
import { parseJson } from '../../protocol/json.js'
import { maySend } from '../../protocol/permissions.js'
import type { ErrorReply } from '../../protocol/replies.js'
import { Caller, type Dispatcher, Refusal } from '../caller.js'
import type { Connection, Dialect, Spoken } from '../connection.js'
import type { EdgeLog } from '../dependencies.js'
import { type Introductions, recognise } from '../introduction.js'
import { Unacknowledged } from './unacknowledged.js'

export interface FeedParts extends Introductions {
  readonly dispatcher: Dispatcher
  readonly settings: { readonly heartbeatIntervalMs: number }
  readonly trace: EdgeLog
}

const AUTH_MS = 10_000
/** So many heartbeats may be missed. */
const MISSED = 3
/** Channels that are looked up for a client that names none. */
const MAX_CHANNELS = 200
/** The service's own end for whoever lost its credential, and for whoever has too much; the reason says which. */
const POLICY = 1008
/** Ends that the service wants for any connection, in the codes of this protocol. */
const CLOSE_CODES: Readonly<Record<number, number>> = {
  1012: 1001,
  4001: FEED_CLOSE.TOKEN_EXPIRED,
}

export class FeedLink implements Dialect {
  readonly #connection: Connection
  readonly #parts: FeedParts
  readonly #types = new Set<string>()
  readonly #unacknowledged = new Unacknowledged()
  #orchestratorId: string | undefined
  #isKnown = false
  /** The end is this protocol's own. */
  #isLeaving = false
  #timer: NodeJS.Timeout

  constructor(connection: Connection, parts: FeedParts) {
    this.#connection = connection
    this.#parts = parts
    this.#timer = setTimeout(() => this.#leave('AUTH_TIMEOUT'), AUTH_MS)
  }

  read(frame: string | Buffer): Spoken {
    const parsed = feedMessageSchema.safeParse(jsonIn(String(frame)))
    if (parsed.success) {
      const message = parsed.data
      return { ok: true, requestId: message.id, carryOut: () => this.#carryOut(message) }
    }
    const issue = parsed.error.issues[0]
    const reason = `${issue?.path.join('.') || 'message'}: ${issue?.message ?? 'unexpected shape'}`
    const error = new ServiceError('invalid_payload', { reason })
    if (this.#isKnown) return { ok: false, error, requestId: undefined }
    return { ok: true, requestId: undefined, carryOut: () => this.#sendAway(error) }
  }

  write(frame: string): readonly string[] {
    const message = JSON.parse(frame) as ServerMessage
    if (message.type === 'error') return this.#errorFrames(message)
    return LOGGED.has(message.type) ? this.#eventFrames(message as LoggedEvent) : []
  }

  /** What was not acknowledged is told again, once for each beat. */
  beat(): void {
    if (!this.#connection.hasRoom()) return
    for (const frame of this.#unacknowledged.due(performance.now())) this.#connection.send(frame)
  }

  ended(): void {
    clearTimeout(this.#timer)
  }

  closeCode(code: number, reason: string): number {
    if (this.#isLeaving) return code
    return code === POLICY ? policyCode(reason) : (CLOSE_CODES[code] ?? code)
  }

  async #carryOut(message: FeedMessage): Promise<void> {
    try {
      if (message.type === 'auth') this.#authenticate(message.payload)
      else if (!this.#isKnown) this.#sendAway(new ServiceError('handshake_required'))
      else await this.#serve(message)
    } catch (error) {
      this.#refuse(error)
    }
  }

  #authenticate({ accessToken: token, orchestratorId }: Extract<FeedMessage, { type: 'auth' }>['payload']): void {
    try {
      this.#recognise(token)
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      const code = authErrorOf(error.code)
      this.#send('auth_error', { code, message: error.message })
      this.#leave(code === 'MAX_CONNECTIONS' ? 'AUTH_FAILED' : code)
      return
    }
    this.#isKnown = true
    this.#orchestratorId = orchestratorId
    this.#waitForHeartbeat()
    const { scopes = ['*'] } = this.#connection.principal
    const serverTime = new Date()
    const { heartbeatIntervalMs } = this.#parts.settings
    this.#send('auth_success', { sessionId: `feed_${randomUUID()}`, scopes, serverTime, heartbeatIntervalMs })
  }

  #recognise(token: string): void {
    recognise(this.#parts, this.#connection, { type: 'api-key', token })
    if (!maySend(this.#connection.principal, 'subscribe')) throw new ServiceError('forbidden', { action: 'subscribe' })
  }

  async #serve(message: Exclude<FeedMessage, { type: 'auth' }>): Promise<void> {
    switch (message.type) {
      case 'heartbeat':
        return this.#heartbeat()
      case 'subscribe':
        return await this.#subscribe(message.payload)
      case 'unsubscribe':
        for (const type of message.payload.eventTypes) this.#types.delete(type)
        return
      case 'ack':
        return this.#unacknowledged.acknowledge(message.payload.eventIds)
    }
  }

  #heartbeat(): void {
    this.#waitForHeartbeat()
    const now = Date.now()
    const next = new Date(now + this.#parts.settings.heartbeatIntervalMs)
    this.#send('heartbeat_ack', { serverTime: new Date(now), nextHeartbeat: next })
  }

  #waitForHeartbeat(): void {
    clearTimeout(this.#timer)
    const patience = MISSED * this.#parts.settings.heartbeatIntervalMs
    this.#timer = setTimeout(() => this.#leave('SESSION_TERMINATED'), patience)
  }

  async #subscribe({ eventTypes, channelIds }: Extract<FeedMessage, { type: 'subscribe' }>['payload']): Promise<void> {
    for (const type of eventTypes) this.#types.add(type)
    for (const sessionId of channelIds ?? (await this.#channels())) {
      await this.#parts.dispatcher.handle(this.#connection, { type: 'subscribe', payload: { sessionId } })
    }
  }

  async #channels(): Promise<readonly string[]> {
    const caller = new Caller(this.#parts.dispatcher, this.#connection.principal, '', this.#connection.meter)
    const statuses = ['initializing', 'active', 'paused'] as ('initializing' | 'active' | 'paused')[]
    const payload = { statuses, limit: MAX_CHANNELS, orchestratorId: this.#orchestratorId }
    const { sessions } = await caller.ask({ type: 'list_sessions', payload }, 'sessions_list')
    return sessions.map(({ id }) => id)
  }

  #eventFrames(event: LoggedEvent): readonly string[] {
    const wanted = feedEventsOf(event).filter(({ eventType }) => this.#types.has('*') || this.#types.has(eventType))
    return wanted.map((told) => {
      const eventId = `${event.eventId}@${event.sessionId}/${told.eventType}`
      const frame = frameOf('event', { eventId, ...told })
      if (told.requiresAck) this.#unacknowledged.add(eventId, frame, performance.now())
      return frame
    })
  }

  /** The end of a token and of an edge are words of their own here. */
  #errorFrames({ code, error, retryAfterMs, sessionId }: ErrorReply): readonly string[] {
    if (code === 'shutting_down') return [frameOf('reconnect', { reason: error, delay: retryAfterMs ?? 0 })]
    const word = code === 'token_expired' ? 'TOKEN_EXPIRED' : feedErrorOf(code)
    const details = { code, ...(sessionId !== undefined && { channelId: sessionId }) }
    const said = frameOf('error', { code: word, message: error, details })
    if (word !== 'RATE_LIMITED') return [said]
    return [frameOf('rate_limit', { action: 'message.send', retryAfter: Math.ceil((retryAfterMs ?? 0) / 1_000) }), said]
  }

  #refuse(error: unknown): void {
    if (error instanceof Refusal) this.#connection.push(JSON.stringify(error.reply))
    else this.#connection.refuse(error instanceof ServiceError ? error : this.#bug(error), undefined)
  }

  #bug(error: unknown): ServiceError {
    const incident = randomUUID()
    this.#parts.trace.error({ err: error, incident }, 'a message of the event feed could not be carried out')
    return new ServiceError('internal', { incident }, { cause: error })
  }

  /** Nothing is done for whoever has not said who they are. */
  #sendAway(error: ServiceError): undefined {
    this.#refuse(error)
    this.#leave('AUTH_FAILED')
  }

  #send(type: string, payload: object): void {
    this.#connection.send(frameOf(type, payload))
  }

  #leave(close: FeedClose): void {
    this.#isLeaving = true
    this.#connection.end(FEED_CLOSE[close], close)
  }
}

const policyCode = (reason: string): number =>
  reason in ERRORS && ERRORS[reason as ErrorCode].http === 401 ? FEED_CLOSE.AUTH_FAILED : FEED_CLOSE.RATE_LIMITED

const LOGGED: ReadonlySet<string> = new Set(LOGGED_EVENT_TYPES)

const frameOf = (type: string, payload: object): string =>
  JSON.stringify({ type, id: randomUUID(), timestamp: new Date(), payload })

function jsonIn(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    // Said by the schema: what is no JSON is no message either.
    return undefined
  }
}
