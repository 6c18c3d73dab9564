/**
 * One client: its messages are carried out in the order they came, its answers and events leave in the order they were
 * pushed, and what it does not read costs a bounded amount of memory.
 */
import { LIMITS } from '../bus/bus.js'
import { decode, errorReply } from '../protocol/codec.js'
import type { ClientMessage } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { Principal } from './auth.js'
import type { Client } from './client.js'
import type { EdgeMetrics } from './dependencies.js'
import type { Admission, Allowance } from './rate-limit.js'

/** Above this, events stay in the log until the client has read: what one slow client may cost. */
const MAX_BUFFERED_BYTES = 256 * 1024
/** Answers are not stored anywhere; a client that asks on and reads nothing is cut off here. */
const MAX_WITH_REPLIES_BYTES = 1024 * 1024
/** A client whose buffer is full and that reads nothing for this long is gone. */
const MAX_STALL_MS = 60_000
/** Messages that wait for an earlier one of the same client to be carried out. */
const MAX_WAITING_MESSAGES = 1_024
/** The same in characters: large messages fill the memory before they are many. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024
const CLOSE_POLICY = 1008

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

export interface ConnectionHandlers {
  /** Carries out one message; never throws or rejects. A promise holds back the client's next message. */
  readonly onMessage: (connection: Connection, message: ClientMessage) => Promise<void> | undefined
  /** There is room again after `hasRoom` was false. */
  readonly onRoom: (connection: Connection) => void
  readonly metrics: Pick<EdgeMetrics, 'received' | 'sent'>
}

/** What a client said wrong is answered before what it says next, like everything else. */
type Incoming = ReturnType<typeof decode>

interface Waiting {
  readonly incoming: Incoming
  readonly chars: number
}

export class Connection implements Client {
  pendingCommands = 0
  principal: Principal
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
  readonly #allowance: Pick<Allowance, 'take'> | undefined

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
    this.#allowance = allowance
  }

  get isOpen(): boolean {
    return this.#open
  }

  get staysOn(): boolean {
    return true
  }

  /** Takes one frame from the client. */
  receive(frame: string): void {
    const incoming = decode(frame)
    this.#handlers.metrics.received(incoming.ok ? incoming.message.type : undefined, Buffer.byteLength(frame))
    this.#take(incoming, frame.length)
  }

  /** Takes one frame that is too large to be read: it is answered in its turn, and it counts. */
  receiveOversize(limit: number, requestId?: Incoming['requestId']): void {
    const error = new ServiceError('message_too_large', { limit })
    this.#handlers.metrics.received(undefined, limit)
    this.#take({ ok: false, error, requestId }, 0)
  }

  /** Queues a frame; frames of one turn of the event loop leave together. */
  push(frame: string): void {
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
    if (this.#open) this.#socket.ping()
  }

  /** Says good-bye after everything that is queued. */
  end(code: number, reason: string): void {
    if (!this.#open) return
    this.#flush()
    if (this.#open) this.#socket.end(code, reason)
  }

  terminate(): void {
    if (this.#open) this.#socket.terminate()
  }

  /** The transport has ended. */
  closed(): void {
    this.#open = false
    this.#outgoing = []
    this.#waiting = undefined
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
    if (incoming.ok) return this.#handlers.onMessage(this, incoming.message)
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
    this.#handlers.metrics.sent(frames)
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
