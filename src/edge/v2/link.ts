/**
 * One connection that speaks the second protocol. It begins with `auth.connect`; from then on requests are answered in their
 * order, and events of the sessions that the client watches are told in the words of this protocol.
 *
 *   request → handshake, or requests → method → caller → dispatch
 *   event of the log → connection → link → watch-list → story → event frames
 */
import { randomUUID } from 'node:crypto'
import { errorReply } from '../../protocol/codec.js'
import type { RequestId } from '../../protocol/commands.js'
import { ServiceError } from '../../protocol/errors.js'
import { LOGGED_EVENT_TYPES, type LoggedEvent, type ServerMessage, type StreamChunk } from '../../protocol/events.js'
import type { SessionId } from '../../protocol/ids.js'
import { seesTenant } from '../../protocol/permissions.js'
import type { ErrorReply } from '../../protocol/replies.js'
import { BINARY_VERSION, idOf } from '../../protocol/v2/binary.js'
import { type Encoding, errorShape, NATIVE, type Request } from '../../protocol/v2/frames.js'
import type { V2Scope } from '../../protocol/v2/scopes.js'
import { Refusal } from '../caller.js'
import type { Connection, Dialect, Spoken } from '../connection.js'
import type { FollowRequest, Peer } from './asked.js'
import { Fragments } from './fragments.js'
import { readRequest } from './frame-reader.js'
import { Handshake } from './handshake.js'
import type { V2Parts } from './parts.js'
import { Requests } from './requests.js'
import { TenantFeed } from './tenant-feed.js'
import { WatchList } from './watch-list.js'

/** Whoever does not say in this time who they are is not waited for; the SDK itself waits as long. */
const HANDSHAKE_MS = 10_000
const CLOSE_POLICY = 1008
const CLOSE_BROKEN = 1011

export class Link implements Dialect, Peer {
  readonly watches = new WatchList()
  readonly connection: Connection
  asked: readonly V2Scope[] | undefined
  readonly #parts: V2Parts
  readonly #fragments: Fragments
  readonly #requests: Requests
  readonly #feed: TenantFeed
  /** Marks what is asked in the client's name; nobody else's request id begins so. */
  readonly #mint = randomUUID()
  #encoding: Encoding = NATIVE
  /** Undefined until the handshake is done. */
  #scopes: ReadonlySet<V2Scope> | undefined
  #timer: NodeJS.Timeout | undefined
  #beats = 0

  /** `waits`: the connection is nobody's yet, or speaks nothing else. */
  constructor(connection: Connection, parts: V2Parts, waits: boolean) {
    this.connection = connection
    this.#parts = parts
    this.#fragments = new Fragments(parts.settings.maxPayloadBytes)
    this.#requests = new Requests(this, parts)
    this.#feed = new TenantFeed(this, parts)
    if (!waits) return
    const tooLate = (): void => this.#end(new ServiceError('authentication_timeout'), undefined, CLOSE_POLICY)
    this.#timer = setTimeout(tooLate, HANDSHAKE_MS)
  }

  get scopes(): ReadonlySet<V2Scope> {
    return this.#scopes ?? new Set()
  }

  grant(scopes: readonly V2Scope[]): void {
    clearTimeout(this.#timer)
    this.#scopes = new Set(scopes)
  }

  read(frame: string | Buffer): Spoken {
    if (typeof frame !== 'string' && frame[0] === BINARY_VERSION) return this.#readBinary(frame)
    const read = readRequest(String(frame))
    if (read.ok && !this.#scopes) this.#encoding = read.encoding
    return read.ok ? this.#spoken(read.request) : this.#wrong(read.error, read.id)
  }

  write(frame: string): readonly string[] {
    const message = JSON.parse(frame) as ServerMessage
    if (message.type === 'error') return [this.#errorFrame(message)]
    if (message.type === 'subscribed') return message.reset ? this.watches.reset(message).map(this.#encoding.event) : []
    if (!isStory(message)) return []
    this.#feed.heard(message)
    return this.watches.tell(message).map(this.#encoding.event)
  }

  beat(): void {
    if (!this.#scopes) return
    const payload = { serverTimestamp: Date.now(), seq: this.#beats++ }
    this.connection.send(this.#encoding.event(this.watches.unasked({ event: 'health.heartbeat', payload })))
  }

  ended(): void {
    clearTimeout(this.#timer)
    this.#feed.end()
  }

  answer(id: RequestId, payload: object): void {
    this.connection.send(this.#encoding.answer(id, payload))
  }

  refuse(id: RequestId, error: unknown): void {
    const reply = error instanceof Refusal ? error.reply : errorReply(this.#serviceError(error, id))
    this.connection.meter.failed(reply.code)
    this.connection.send(this.#encoding.refusal(id, errorShape(reply)))
  }

  follow(sessionId: SessionId, { standing, from, whole, fed = false }: FollowRequest): void {
    if (this.watches.isWatched(sessionId) && from === undefined) {
      this.watches.keep(sessionId, whole)
      return
    }
    const { promptId, ...place } = from ?? { eventId: standing.eventId, promptId: undefined }
    const { session, role } = standing
    this.watches.watch(sessionId, { session, role, promptId }, { whole, fed })
    const message = { type: 'subscribe', requestId: this.#mint, payload: { sessionId, from: place } } as const
    void this.#parts.dispatcher.handle(this.connection, message)
  }

  unfollow(sessionId: SessionId): void {
    this.#feed.left(sessionId)
    void this.#parts.dispatcher.handle(this.connection, { type: 'unsubscribe', payload: { sessionId } })
  }

  feed(): boolean {
    const isTold = this.watches.meansAll && seesTenant(this.connection.principal.role)
    if (isTold) this.#feed.begin()
    else this.#feed.end()
    return isTold
  }

  complain(error: ServiceError): void {
    this.connection.send(this.#errorFrame(errorReply(error)))
  }

  /** Pieces of a request are kept for nobody who has not said who they are. */
  #readBinary(frame: Buffer): Spoken {
    if (!this.#scopes) return this.#wrong(new ServiceError('handshake_required'), idOf(frame))
    try {
      return this.#spoken(this.#fragments.take(frame), idOf(frame))
    } catch (error) {
      return this.#wrong(this.#serviceError(error, undefined), idOf(frame))
    }
  }

  #spoken(request: Request | undefined, id: RequestId | undefined = request?.id): Spoken {
    return { ok: true, requestId: id, carryOut: () => request && this.#carryOut(request) }
  }

  /** Once connected, a client that is wrong is told so; before that it is sent away. */
  #wrong(error: ServiceError, id: RequestId | undefined): Spoken {
    // An empty id stands for none, so that the refusal is an answer all the same.
    if (this.#scopes) return { ok: false, error, requestId: id ?? '' }
    return { ok: true, requestId: id, carryOut: () => this.#end(error, id, CLOSE_POLICY) }
  }

  #carryOut(request: Request): Promise<void> | undefined {
    if (this.#scopes) return this.#requests.carryOut(request)
    try {
      const outcome = new Handshake(this, this.#parts).carryOut(request)
      if (!outcome.ok) return this.#end(outcome.error, request.id, outcome.close)
      this.answer(request.id, outcome.hello)
      return undefined
    } catch (error) {
      return this.#end(this.#serviceError(error, request.id), request.id, CLOSE_BROKEN)
    }
  }

  #end(error: ServiceError, id: RequestId | undefined, code: number): undefined {
    this.connection.meter.failed(error.code)
    this.connection.send(this.#encoding.refusal(id, errorShape(errorReply(error))))
    this.connection.end(code, error.code)
  }

  /** Of a request of the client's, the answer; of anything else, an event. */
  #errorFrame({ requestId, ...reply }: ErrorReply): string {
    this.connection.meter.failed(reply.code)
    const isAnswer = requestId !== undefined && requestId !== this.#mint
    if (isAnswer) return this.#encoding.refusal(requestId === '' ? undefined : requestId, errorShape(reply))
    const { sessionId } = reply
    // Nobody shows it to the client any more.
    if (sessionId !== undefined) {
      this.watches.forget(sessionId)
      this.#feed.left(sessionId)
    }
    const payload = { ...errorShape(reply), ...(sessionId !== undefined && { sessionId }) }
    return this.#encoding.event(this.watches.unasked({ event: 'error', payload }))
  }

  #serviceError(error: unknown, id: RequestId | undefined): ServiceError {
    if (error instanceof ServiceError) return error
    const incident = randomUUID()
    this.#parts.trace.error({ err: error, incident, request: id }, 'a request could not be carried out')
    return new ServiceError('internal', { incident }, { cause: error })
  }
}

const STORY: ReadonlySet<string> = new Set([...LOGGED_EVENT_TYPES, 'stream_chunk'])

const isStory = (message: ServerMessage): message is LoggedEvent | StreamChunk => STORY.has(message.type)
