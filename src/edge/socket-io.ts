/**
 * The Socket.IO door, at /socket.io/ of the same port: an event's name is a message's type, its argument the payload, and
 * what the server has to say comes as an event by its type, with the whole message. Behind it stands the same connection
 * as behind the raw WebSocket: the same verbs, limits, order and resume.
 *
 *   emit(type, payload?, envelope?, ack?)     envelope: `requestId`, `commandId`, `auth`; ack: told the answer
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import { type Socket as IoSocket, Server as SocketServer } from 'socket.io'
import type { RequestId } from '../protocol/commands.js'
import { ERRORS, ServiceError } from '../protocol/errors.js'
import type { Credentials, Principal } from './auth.js'
import type { Connection, Socket } from './connection.js'
import { FORWARDING_HEADERS, pathOf } from './credentials.js'
import { MAX_BACKPRESSURE_BYTES, OVERSIZE_FACTOR, type WebSocketHandlers, type WebSocketSettings } from './websocket.js'

const PATH = '/socket.io/'
/** The transport does not say when the kernel has taken something: it is asked this often while something waits. */
const DRAIN_POLL_MS = 50
/** Answers that clients wait for by acknowledgement, on one connection. */
const MAX_ACKS = 1_024
/** Whoever has to come back by themselves: a client of Socket.IO does so when the connection breaks, not when it is told to go. */
const COMES_BACK = 1012

type Acknowledge = (answer: unknown) => void

export interface SocketIoSettings extends WebSocketSettings {
  /** Origins whose pages may connect; undefined: none but our own. */
  readonly corsOrigins?: readonly string[] | undefined
}

export class SocketIoDoor {
  readonly #server: SocketServer
  /** One for each app that it is attached to. */
  readonly #engines: { close(): void }[] = []
  readonly #handlers: WebSocketHandlers

  constructor(settings: SocketIoSettings, handlers: WebSocketHandlers) {
    const { corsOrigins, heartbeatIntervalMs, maxPayloadBytes } = settings
    this.#handlers = handlers
    this.#server = new SocketServer({
      path: PATH,
      serveClient: false,
      // With it, a client that gives up while its answer is compressed brings the process down (engine.io#705).
      httpCompression: false,
      perMessageDeflate: false,
      maxHttpBufferSize: maxPayloadBytes * OVERSIZE_FACTOR,
      pingInterval: heartbeatIntervalMs,
      pingTimeout: heartbeatIntervalMs,
      allowRequest: (req, decide) => {
        keepPath(req as unknown as EngineRequest)
        decide(null, true)
      },
      ...(corsOrigins && { cors: { origin: [...corsOrigins], allowedHeaders: ['authorization', 'x-api-key'] } }),
    })
    this.#server.use((socket, next) => this.#admit(socket, next))
    this.#server.on('connection', (socket) => this.#opened(socket, maxPayloadBytes))
  }

  /** Must be called before other doors of the app take the path. */
  attach(app: TemplatedApp): void {
    this.#server.attachApp(app as never, { maxBackpressure: MAX_BACKPRESSURE_BYTES } as never)
    this.#engines.push(this.#server.engine as { close(): void })
  }

  /** Drops whatever is left. */
  close(): void {
    this.#server.disconnectSockets(true)
    for (const engine of this.#engines) engine.close()
  }

  #admit(socket: IoSocket, next: (error?: Error & { data?: unknown }) => void): void {
    const verdict = this.#handlers.admit(credentialsOf(socket), 'socket.io')
    if (verdict.ok) {
      socket.data = verdict.principal
      next()
    } else {
      const { reason: code } = verdict
      next(Object.assign(new Error(code), { data: { code, status: ERRORS[code].http } }))
    }
  }

  #opened(socket: IoSocket, maxPayloadBytes: number): void {
    const link = new IoLink(socket)
    const connection = this.#handlers.onOpen(link, socket.data as Principal, 'socket.io')
    link.serve(connection, maxPayloadBytes)
    socket.on('disconnect', () => {
      link.stop()
      this.#handlers.onClose(connection)
    })
  }
}

/** One client, as the socket under a connection. */
class IoLink implements Socket {
  readonly #socket: IoSocket
  /** Acknowledgements by the request id that was minted for them. */
  readonly #acks = new Map<RequestId, Acknowledge>()
  /** Request ids stand in the log: another client's must not be taken for one of ours. */
  readonly #mint = randomUUID()
  #requests = 0
  #connection: Connection | undefined
  #poll: NodeJS.Timeout | undefined

  constructor(socket: IoSocket) {
    this.#socket = socket
  }

  serve(connection: Connection, maxPayloadBytes: number): void {
    this.#connection = connection
    this.#socket.onAny((type: string, ...args: unknown[]) => {
      const ack = typeof args.at(-1) === 'function' ? (args.pop() as Acknowledge) : undefined
      if (ack && this.#acks.size >= MAX_ACKS) {
        connection.refuse(new ServiceError('busy', { retryAfterMs: 0 }), undefined)
        return
      }
      const requestId = ack && this.#await(ack)
      const frame = frameOf(type, args, requestId)
      if (Buffer.byteLength(frame) > maxPayloadBytes) connection.receiveOversize(maxPayloadBytes, requestId)
      else connection.receive(frame)
    })
  }

  send(frame: string): void {
    const message = JSON.parse(frame) as { readonly type: string; readonly requestId?: RequestId }
    const ack = message.requestId === undefined ? undefined : this.#acks.get(message.requestId)
    if (!ack || message.requestId === undefined) {
      this.#socket.emit(message.type, message)
      return
    }
    this.#acks.delete(message.requestId)
    const { requestId: _, ...answer } = message
    ack(answer)
    // Whoever listens by type hears it too, but for errors, which have been told to whoever asked.
    if (message.type !== 'error') this.#socket.emit(message.type, answer)
  }

  cork(work: () => void): void {
    work()
  }

  bufferedBytes(): number {
    const bytes = this.#waitingBytes()
    if (bytes > 0) this.#poll ??= setInterval(() => this.#drain(), DRAIN_POLL_MS)
    return bytes
  }

  /** The transport has a heartbeat of its own. */
  ping(): void {}

  end(code: number, _reason: string): void {
    if (code === COMES_BACK) this.#socket.conn.close()
    else this.#socket.disconnect(true)
  }

  terminate(): void {
    this.#socket.conn.close(true)
  }

  stop(): void {
    clearInterval(this.#poll)
    this.#acks.clear()
  }

  #drain(): void {
    this.#connection?.drained()
    if (this.#waitingBytes() > 0) return
    clearInterval(this.#poll)
    this.#poll = undefined
  }

  /** What the kernel has not taken, and what waits for the next poll. */
  #waitingBytes(): number {
    const { transport, writeBuffer } = this.#socket.conn as unknown as EngineConnection
    const waiting = writeBuffer.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
    return waiting + (transport.socket?.getBufferedAmount?.() ?? 0)
  }

  /** The request id whose answer is told to `ack`. */
  #await(ack: Acknowledge): RequestId {
    const requestId = `${this.#mint}:${++this.#requests}`
    this.#acks.set(requestId, ack)
    return requestId
  }
}

/** The message as the raw WebSocket would have brought it. */
function frameOf(type: string, [payload, envelope]: readonly unknown[], requestId: RequestId | undefined): string {
  const asked = requestId === undefined ? {} : { requestId }
  try {
    const message = { ...(isRecord(envelope) ? envelope : {}), type, ...(payload !== undefined && { payload }) }
    return JSON.stringify({ ...message, ...asked })
  } catch {
    // Nested so deep that it could be read and cannot be written: judged like any message without its payload.
    return JSON.stringify({ type, payload: null, ...asked })
  }
}

/** What of an engine.io connection is read here, and its declared types leave out. */
interface EngineConnection {
  readonly transport: { readonly socket?: { getBufferedAmount?(): number } }
  readonly writeBuffer: readonly { readonly data?: { readonly length: number } }[]
}

/** A request of the transport, as engine.io hands it on: of a header that came several times it keeps the last. */
interface EngineRequest extends HttpRequest {
  /** Where pages of other origins may come, in a wrapper that has not all of its methods. */
  readonly res: HttpResponse | { readonly res: HttpResponse }
  path?: ReturnType<typeof pathOf>
}

/** Within the handler of the request, which is gone when it has returned. */
function keepPath(req: EngineRequest): void {
  req.path = pathOf('getProxiedRemoteAddress' in req.res ? req.res : req.res.res, req)
}

/** A credential may stand in `auth`, which pages can set, before the places that the raw WebSocket knows. */
function credentialsOf({ handshake, request }: IoSocket): Credentials {
  const { auth, headers, query, address } = handshake
  const header = (name: string): string => textOf(headers[name])
  const token = textOf(auth.token)
  return {
    authorization: token === '' ? header('authorization') : `Bearer ${token}`,
    apiKeyHeader: textOf(auth.apiKey) || header('x-api-key'),
    tokenParameter: textOf(query.token),
    apiKeyParameter: textOf(query.apiKey),
    peer: bytesOf(address),
    origin: header('origin'),
    host: header('host'),
    forwarded: FORWARDING_HEADERS.some((name) => header(name) !== ''),
    ...(request as unknown as Pick<EngineRequest, 'path'>).path,
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An address as the transport writes it, in the bytes that the door judges. */
function bytesOf(address: string): Uint8Array {
  const mapped = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  if (mapped) return Uint8Array.from(mapped.slice(1).map(Number))
  return isIP(address) === 6 ? ipv6Bytes(address) : new Uint8Array()
}

function ipv6Bytes(address: string): Uint8Array {
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined): number[] =>
    text ? text.split(':').map((group) => Number.parseInt(group, 16)) : []
  const first = groups(head)
  const last = groups(tail)
  const zeros = tail === undefined ? [] : new Array<number>(8 - first.length - last.length).fill(0)
  return Uint8Array.from([...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]))
}
