/**
 * One client: its messages are carried out in the order they came, its answers and events leave in the order they were
 * pushed, and what it does not read costs a bounded amount of memory.
 */
import { LIMITS } from '../bus/bus.js'
import { type Decoded, decode, errorReply } from '../protocol/codec.js'
import type { ClientMessage, RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { ChannelMeter } from '../telemetry/metrics.js'
import type { Principal } from './auth.js'
import type { Client } from './client.js'
import type { Admission, Allowance } from './rate-limit.js'

/** Above this, events stay in the log until the client has read: what one slow client may cost. */
const MAX_BUFFERED_BYTES = 256 * 1024
/** Answers are not stored anywhere; a client that asks on and reads nothing is cut off here. */
export const MAX_WITH_REPLIES_BYTES = 1024 * 1024
/** A client whose buffer is full and that reads nothing for this long is gone. */
const MAX_STALL_MS = 60_000
/** Messages that wait for an earlier one of the same client to be carried out. */
const MAX_WAITING_MESSAGES = 1_024
/** The same in characters: large messages fill the memory before they are many. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024
const CLOSE_POLICY = 1008
/** What messages of other protocols are counted as. */
const REQUEST = 'req'

/** The transport under a connection. It may not be touched after `Connection.closed`. */
export interface Socket {
  send(frame: string): void
  /** Runs `work` so that its sends leave together. */
  cork(work: () => void): void
  /** Bytes that the kernel has not taken yet. */
  bufferedBytes(): number
  ping(): void
  /** Sends a close frame after what is queued. */
  end(code: number, reason: string): void
  /** Drops the connection at once. */
  terminate(): void
}

/**
 * Another protocol on the same socket: frames are read and written in its words, everything else about the connection (its
 * order, allowance, buffer, heartbeat and end) stays as it is.
 */
export interface Dialect {
  /** Reads one frame; bytes where the client sent bytes. */
  read(frame: string | Buffer): Incoming
  /** What a frame of the first protocol is in this one: none, one or several. */
  write(frame: string): readonly string[]
  /** A heartbeat is due. */
  beat(): void
  /** The connection is over. */
  ended(): void
  /** Its own code for an end that others want; the same one where it has none. */
  closeCode?(code: number, reason: string): number
}

/** A message in a dialect: what it leads to is the dialect's own business. */
export type Spoken =
  | { readonly ok: true; readonly carryOut: () => Promise<void> | undefined; readonly requestId: RequestId | undefined }
  | { readonly ok: false; readonly error: ServiceError; readonly requestId: RequestId | undefined }

export interface ConnectionHandlers {
  /** Carries out one message; never throws or rejects. A promise holds back the client's next message. */
  readonly onMessage: (connection: Connection, message: ClientMessage) => Promise<void> | undefined
  /** There is room again after `hasRoom` was false. */
  readonly onRoom: (connection: Connection) => void
  /** Another protocol that may begin with a frame which is none of the first one's; undefined where there is none. */
  readonly dialectOf?: ((connection: Connection, frame: string) => Dialect | undefined) | undefined
  /** Of the channel by which the client came. */
  readonly metrics: ChannelMeter
}

/** For connections that nobody counts. */
export const UNCOUNTED: ChannelMeter = {
  opened: () => undefined,
  received: () => undefined,
  sent: () => undefined,
  failed: () => undefined,
  answered: () => undefined,
}

/** What a client said wrong is answered before what it says next, like everything else. */
export type Incoming = Decoded | Spoken

interface Waiting {
  readonly incoming: Incoming
  readonly chars: number
}

export class Connection implements Client {
  pendingCommands = 0
  principal: Principal
  /** Where it is counted. */
  meter: ChannelMeter
  readonly #socket: Socket
  readonly #handlers: ConnectionHandlers
  #open = true
  #outgoing: string[] = []
  #outgoingChars = 0
  #buffered = 0
  /** Since when the buffer is full without progress, or undefined while there is room. */
  #stalledSince: number | undefined
  #working = false
  #waiting: Waiting[] | undefined
  #waitingChars = 0
  #allowance: Pick<Allowance, 'take'> | undefined
  #dialect: Dialect | undefined

  /** Without an allowance, a client may send as much as it likes. */
  constructor(
    socket: Socket,
    principal: Principal,
    handlers: ConnectionHandlers,
    allowance?: Pick<Allowance, 'take'> | undefined,
  ) {
    this.#socket = socket
    this.principal = principal
    this.#handlers = handlers
    this.meter = handlers.metrics
    this.#allowance = allowance
  }

  get isOpen(): boolean {
    return this.#open
  }

  get staysOn(): boolean {
    return true
  }

  /** Whether frames that are no text mean something. */
  get takesBytes(): boolean {
    return this.#dialect !== undefined
  }

  /** Speaks another protocol from now on. */
  speak(dialect: Dialect): void {
    this.#dialect = dialect
  }

  /** Somebody who came without a name has one now, and what goes with it. */
  adopt(principal: Principal, allowance: Pick<Allowance, 'take'> | undefined): void {
    this.principal = principal
    this.#allowance = allowance
  }

  /** Takes one frame from the client. */
  receive(frame: string | Buffer): void {
    const incoming = this.#dialect?.read(frame) ?? this.#decode(String(frame))
    const type = 'message' in incoming ? incoming.message.type : incoming.ok ? REQUEST : undefined
    this.meter.received(type, Buffer.byteLength(frame))
    this.#take(incoming, frame.length)
  }

  /** Takes one frame that is too large to be read: it is answered in its turn, and it counts. */
  receiveOversize(limit: number, requestId?: Incoming['requestId']): void {
    const error = new ServiceError('message_too_large', { limit })
    this.meter.received(undefined, limit)
    this.#take({ ok: false, error, requestId }, 0)
  }

  /** Queues a frame of the first protocol, in the words of the one that is spoken. */
  push(frame: string): void {
    if (!this.#dialect) this.send(frame)
    else for (const said of this.#dialect.write(frame)) this.send(said)
  }

  /** Queues a frame as it is; frames of one turn of the event loop leave together. */
  send(frame: string): void {
    if (!this.#open) return
    if (this.#buffered + this.#outgoingChars > MAX_WITH_REPLIES_BYTES) {
      this.terminate()
      return
    }
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush())
    this.#outgoing.push(frame)
    this.#outgoingChars += frame.length
  }

  /** This connection was one more than its principal may have. */
  exceed(): void {
    const error = new ServiceError('connection_limit_exceeded')
    this.refuse(error, undefined)
    this.end(CLOSE_POLICY, error.code)
  }

  refuse(error: ServiceError, requestId: Incoming['requestId']): void {
    this.push(JSON.stringify(errorReply(error, { requestId })))
  }

  hasRoom(): boolean {
    if (this.#buffered + this.#outgoingChars <= MAX_BUFFERED_BYTES) return true
    this.#stalledSince ??= performance.now()
    return false
  }

  /** The kernel has taken something. */
  drained(): void {
    const before = this.#buffered
    this.#buffered = this.#socket.bufferedBytes()
    if (this.#stalledSince !== undefined && this.#buffered < before) this.#stalledSince = performance.now()
    this.#tellRoom()
  }

  /** True when the client has read nothing for so long that it is given up. */
  isStalled(now: number): boolean {
    return this.#stalledSince !== undefined && now - this.#stalledSince >= MAX_STALL_MS
  }

  ping(): void {
    if (!this.#open) return
    this.#socket.ping()
    this.#dialect?.beat()
  }

  /** Says good-bye after everything that is queued. */
  end(code: number, reason: string): void {
    if (!this.#open) return
    this.#flush()
    if (this.#open) this.#socket.end(this.#dialect?.closeCode?.(code, reason) ?? code, reason)
  }

  terminate(): void {
    if (this.#open) this.#socket.terminate()
  }

  /** The transport has ended. */
  closed(): void {
    this.#open = false
    this.#outgoing = []
    this.#waiting = undefined
    this.#dialect?.ended()
  }

  #decode(frame: string): Incoming {
    const incoming = decode(frame)
    if (incoming.ok || incoming.error.code !== 'unknown_type') return incoming
    this.#dialect = this.#handlers.dialectOf?.(this, frame)
    return this.#dialect?.read(frame) ?? incoming
  }

  #take(incoming: Incoming, chars: number): void {
    this.#waiting ??= []
    if (!this.#working) this.#handle(incoming)
    else if (this.#waiting.length < MAX_WAITING_MESSAGES && this.#waitingChars + chars <= MAX_WAITING_CHARS) {
      this.#waiting.push({ incoming, chars })
      this.#waitingChars += chars
    } else this.refuse(new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs }), incoming.requestId)
  }

  /** The usual case, an allowance with points left and a message that waits for nothing, ends before this returns. */
  #handle(incoming: Incoming): void {
    const admission = this.#allowance?.take()
    const work =
      admission instanceof Promise
        ? admission.then((decided) => this.#carryOut(incoming, decided))
        : this.#carryOut(incoming, admission)
    if (!work) return
    this.#working = true
    void work.then(() => this.#continue())
  }

  #carryOut(incoming: Incoming, refusedForMs: Admission): Promise<void> | undefined {
    if (!this.#open) return undefined
    if (refusedForMs !== undefined) {
      this.refuse(new ServiceError('rate_limit_exceeded', { retryAfterMs: refusedForMs }), incoming.requestId)
      return undefined
    }
    if (incoming.ok) {
      return 'message' in incoming ? this.#handlers.onMessage(this, incoming.message) : incoming.carryOut()
    }
    this.refuse(incoming.error, incoming.requestId)
    return undefined
  }

  #continue(): void {
    this.#working = false
    while (this.#open && !this.#working) {
      const next = this.#waiting?.shift()
      if (!next) return
      this.#waitingChars -= next.chars
      this.#handle(next.incoming)
    }
  }

  #flush(): void {
    if (!this.#open || this.#outgoing.length === 0) return
    const frames = this.#outgoing
    this.#outgoing = []
    this.#outgoingChars = 0
    this.#socket.cork(() => {
      for (const frame of frames) this.#socket.send(frame)
    })
    this.meter.sent(frames)
    if (!this.#open) return
    this.#buffered = this.#socket.bufferedBytes()
    this.#tellRoom()
  }

  #tellRoom(): void {
    if (this.#stalledSince === undefined || this.#buffered + this.#outgoingChars > MAX_BUFFERED_BYTES) return
    this.#stalledSince = undefined
    this.#handlers.onRoom(this)
  }
}
