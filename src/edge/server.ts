/**
 * The listening port of an edge: Socket.IO at its path, WebSocket at any other, the health check, the dashboard, the HTTP
 * door, and 404 for the rest.
 */

import uWS, { type HttpRequest, type HttpResponse, type TemplatedApp, type us_listen_socket } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Page } from '../telemetry/pages.js'
import { answerPreflight, corsHeaders } from './cors.js'
import { Dashboard } from './dashboard.js'
import type { OperatorPages } from './dependencies.js'
import { SocketIoDoor } from './socket-io.js'
import { type WebSocketHandlers, type WebSocketSettings, webSocketBehavior } from './websocket.js'

export interface ServerSettings extends WebSocketSettings {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Undefined: no health check is answered here. */
  readonly healthPath: string | undefined
  /** Origins whose pages may read HTTP answers; undefined: none, and preflights are not answered. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Whether there is a dashboard at `/ui/`. */
  readonly dashboard?: boolean | undefined
}

/** Takes a request whose path it knows; false for any other. */
export type RequestTaker = (res: HttpResponse, req: HttpRequest) => boolean

/** What is behind the port beside WebSockets. */
export interface MoreDoors {
  readonly takeRequest?: RequestTaker
  /** Those for operators, where they have no port of their own. */
  readonly pages?: OperatorPages | undefined
}

/** `LIBUS_LISTEN_EXCLUSIVE_PORT`, which is declared under another name than it has. */
const EXCLUSIVE_PORT = 1

/** The declared types leave out this form, which every release has. */
type Listen = (
  host: string,
  port: number,
  options: typeof EXCLUSIVE_PORT,
  onListening: (socket: us_listen_socket | false) => void,
) => TemplatedApp

export class Server {
  readonly #settings: ServerSettings
  readonly #app: TemplatedApp
  readonly #socketIo: SocketIoDoor
  #listening: us_listen_socket | undefined
  #port = 0

  constructor(settings: ServerSettings, handlers: WebSocketHandlers, { takeRequest, pages }: MoreDoors = {}) {
    this.#settings = settings
    this.#app = uWS.App()
    if (settings.healthPath !== undefined) {
      this.#app.any(settings.healthPath, (res, req) => this.#answer(res, req, '200 OK', 'application/json', healthBody))
    }
    for (const path of pages?.openPaths ?? []) this.#app.any(path, (res, req) => show(pages, path, res, req))
    this.#socketIo = new SocketIoDoor(settings, handlers)
    this.#socketIo.attach(this.#app)
    if (settings.dashboard) new Dashboard().register(this.#app)
    this.#app.ws('/*', webSocketBehavior(settings, handlers))
    this.#app.any('/*', (res, req) => {
      if (!takeRequest?.(res, req)) this.#answer(res, req, '404 Not Found', 'text/plain', () => 'Not Found')
    })
  }

  /** Answers any method, and the question of a browser whether a page of another origin may ask. */
  #answer(res: HttpResponse, req: HttpRequest, status: string, type: string, body: () => string): void {
    const { corsOrigins } = this.#settings
    if (corsOrigins && answerPreflight(res, req, corsOrigins)) return
    res.writeStatus(status).writeHeader('content-type', type)
    for (const [name, value] of corsHeaders(req.getHeader('origin'), corsOrigins ?? [])) res.writeHeader(name, value)
    res.end(body())
  }

  /** The real port once it listens. */
  get port(): number {
    return this.#port
  }

  /** @throws Error with one sentence when the port cannot be had. Another process never shares it. */
  listen(): Promise<void> {
    const { host, port } = this.#settings
    const listen = this.#app.listen.bind(this.#app) as unknown as Listen
    return new Promise((resolve, reject) => {
      listen(host, port, EXCLUSIVE_PORT, (socket) => {
        if (!socket) {
          const advice = 'stop what uses it, or choose another with --port or DAEMON_PORT'
          reject(new Error(`cannot listen on ${host}:${port}; ${advice}`))
          return
        }
        this.#listening = socket
        this.#port = uWS.us_socket_local_port(socket)
        resolve()
      })
    })
  }

  /** Takes no new connections; those that stand go on. */
  stopListening(): void {
    if (this.#listening) uWS.us_listen_socket_close(this.#listening)
    this.#listening = undefined
  }

  /** Drops whatever is left. */
  close(): void {
    this.#listening = undefined
    this.#socketIo.close()
    this.#app.close()
  }
}

const healthBody = (): string => JSON.stringify({ status: 'healthy', timestamp: new Date().toISOString() })

/** The page comes later than the handler ends, and the client may have gone by then. */
function show(pages: OperatorPages | undefined, path: string, res: HttpResponse, req: HttpRequest): void {
  const method = req.getMethod().toUpperCase()
  let isOpen = true
  res.onAborted(() => {
    isOpen = false
  })
  const send = (page: Page): void => {
    if (isOpen) res.cork(() => sendPage(res, page, method))
  }
  pages?.answer({ method, path, body: '', isLocal: false }).then(send, () => send(BROKEN))
}

function sendPage(res: HttpResponse, { status, type, body }: Page, method: string): void {
  res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`).writeHeader('content-type', type)
  res.writeHeader('cache-control', 'no-store')
  if (method === 'HEAD') res.endWithoutBody(Buffer.byteLength(body))
  else res.end(body)
}

const BROKEN: Page = { status: 500, type: 'application/json', body: '{"error":"Internal error"}' }
