/**
 * The raw WebSocket door: any path, text or binary frames with JSON. Credentials are judged before the upgrade.
 */
import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket, WebSocketBehavior } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode } from '../protocol/errors.js'
import type { ConnectedChannel } from '../telemetry/channel-metrics.js'
import type { Credentials, Principal } from './auth.js'
import type { Connection, Socket } from './connection.js'
import { credentialsOf } from './credentials.js'
import type { EdgeLog } from './dependencies.js'
import type { DoorVerdict } from './door.js'
import { PayloadMirror } from './payload-mirror.js'

/**
 * What the path of a raw WebSocket says: `v2` speaks the second protocol, `feed` that of the reference's WEBSOCKET_API.md, and
 * both may show their credential in the first frame. At any other path it is asked for before, and the first protocol is
 * spoken until a frame says otherwise.
 */
export type RawPath = 'v2' | 'feed' | 'websocket'

const PATHS: Readonly<Record<string, RawPath>> = { '/v2': 'v2', '/daemon/ws': 'feed' }
/** Where the first protocol is spoken with everything once more in `payload`. */
const MIRROR_PATH = '/payload'

export interface WebSocketHandlers {
  /** Whether whoever knocks comes in; answers at once. */
  admit(credentials: Credentials, by: ConnectedChannel): DoorVerdict
  onOpen(socket: Socket, principal: Principal, by: ConnectedChannel): Connection
  onClose(connection: Connection): void
  readonly trace: EdgeLog
}

export interface WebSocketSettings {
  readonly maxPayloadBytes: number
  readonly heartbeatIntervalMs: number
}

interface UserData {
  readonly principal: Principal
  readonly path: RawPath
  readonly mirrors: boolean
  connection: Connection | undefined
}

/** A frame this much larger than allowed is still read, so that the client can be told what was wrong. */
export const OVERSIZE_FACTOR = 4
/** Our own accounting stops far below; reaching this is a bug, and the frame that was dropped must not go unnoticed. */
export const MAX_BACKPRESSURE_BYTES = 16 * 1024 * 1024
/** Longer than a slow client may stall: its answers to pings wait behind what it does not read. */
const MIN_IDLE_SECONDS = 68
/** The transport's own upper bound. */
const MAX_IDLE_SECONDS = 960
/** `ws.send` answers this when it has thrown the frame away. */
const DROPPED = 2

const GREETING = JSON.stringify({ type: 'health_check_response', healthy: true })

export function webSocketBehavior(
  settings: WebSocketSettings,
  handlers: WebSocketHandlers,
): WebSocketBehavior<UserData> {
  return {
    maxPayloadLength: settings.maxPayloadBytes * OVERSIZE_FACTOR,
    maxBackpressure: MAX_BACKPRESSURE_BYTES,
    idleTimeout: idleSeconds(settings.heartbeatIntervalMs),
    sendPingsAutomatically: false,
    upgrade: (res, req, context) => upgrade(res, req, context, handlers),
    open: (ws) => {
      const data = ws.getUserData()
      data.connection = handlers.onOpen(new UwsSocket(ws), data.principal, data.path)
      if (data.mirrors) data.connection.speak(new PayloadMirror())
      data.connection.push(GREETING)
    },
    message: (ws, message, isBinary) => {
      const { connection } = ws.getUserData()
      if (!connection) return
      if (message.byteLength > settings.maxPayloadBytes) connection.receiveOversize(settings.maxPayloadBytes)
      else if (isBinary && connection.takesBytes) connection.receive(Buffer.from(message.slice(0)))
      else connection.receive(Buffer.from(message).toString('utf8'))
    },
    drain: (ws) => ws.getUserData().connection?.drained(),
    close: (ws) => {
      const { connection } = ws.getUserData()
      if (connection) handlers.onClose(connection)
    },
  }
}

class UwsSocket implements Socket {
  readonly #ws: WebSocket<UserData>

  constructor(ws: WebSocket<UserData>) {
    this.#ws = ws
  }

  send(frame: string): void {
    if (this.#ws.getUserData().connection?.isOpen === false) return
    if (this.#ws.send(frame) === DROPPED) this.#ws.close()
  }

  cork(work: () => void): void {
    this.#ws.cork(work)
  }

  bufferedBytes(): number {
    return this.#ws.getBufferedAmount()
  }

  ping(): void {
    this.#ws.ping()
  }

  end(code: number, reason: string): void {
    this.#ws.end(code, reason)
  }

  terminate(): void {
    this.#ws.close()
  }
}

/** A peer that answers no ping for two heartbeats is gone. */
export function idleSeconds(heartbeatIntervalMs: number): number {
  const seconds = Math.ceil((2 * heartbeatIntervalMs) / 1000)
  return Math.min(MAX_IDLE_SECONDS, Math.max(MIN_IDLE_SECONDS, seconds))
}

/**
 * Judged and answered within the handler, never later: an upgrade from a later tick may close the socket that it has just
 * opened (docs/decisions/0011-tokens-are-checked-at-once.md).
 */
function upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t, handlers: WebSocketHandlers): void {
  const mirrors = req.getUrl() === MIRROR_PATH
  const path = PATHS[req.getUrl()] ?? 'websocket'
  const verdict = judge(handlers, credentialsOf(res, req), path)
  if (!verdict.ok) {
    refuse(res, verdict.reason)
    return
  }
  res.upgrade<UserData>(
    { principal: verdict.principal, path, mirrors, connection: undefined },
    req.getHeader('sec-websocket-key'),
    firstOf(req.getHeader('sec-websocket-protocol')),
    req.getHeader('sec-websocket-extensions'),
    context,
  )
}

/** When judging fails, that is a bug of ours and lets nobody in. */
function judge(handlers: WebSocketHandlers, credentials: Credentials, path: RawPath): DoorVerdict {
  try {
    return handlers.admit(credentials, path)
  } catch (error) {
    handlers.trace.error({ err: error }, 'a credential could not be judged, so it was refused')
    return { ok: false, reason: 'internal' }
  }
}

function refuse(res: HttpResponse, reason: ErrorCode): void {
  const { http } = ERRORS[reason]
  res
    .writeStatus(`${http} ${STATUS_CODES[http] ?? ''}`)
    .writeHeader('content-type', 'application/json')
    .end(JSON.stringify({ error: reason }), true)
}

/** Clients that offer subprotocols expect one of them back; none of them changes what we speak. */
const firstOf = (offered: string): string => offered.split(',')[0]?.trim() ?? ''
