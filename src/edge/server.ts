/**
 * The listening port of an edge: Socket.IO at its path, WebSocket at any other, the health check, the dashboard, the HTTP
 * door, and 404 for the rest.
 */
import uWS, { type HttpRequest, type HttpResponse, type TemplatedApp, type us_listen_socket } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import { corsHeaders } from '../protocol/cors.js'
import type { Page } from '../telemetry/pages.js'
import { readCertificate, unsharedPort } from './certificate.js'
import { answerPreflight } from './cors.js'
import { Dashboard } from './dashboard.js'
import type { OperatorPages } from './dependencies.js'
import type { EdgeSettings } from './settings.js'
import { SocketIoDoor } from './socket-io.js'
import { type WebSocketHandlers, type WebSocketSettings, webSocketBehavior } from './websocket.js'

export interface ServerSettings
  extends WebSocketSettings,
    Pick<EdgeSettings, 'host' | 'port' | 'healthPath' | 'corsOrigins' | 'dashboard' | 'certificate'> {}

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
const SHARED_PORT = 0
/** Certificates whose last connections still stand; when there are more, those of the oldest are dropped and come back. */
const MAX_RETIRED = 4
/** What has come to the socket that listened before is taken in within this time. */
const ACCEPT_MS = 20

/** The declared types leave out this form, which every release has. */
type Listen = (
  host: string,
  port: number,
  options: number,
  onListening: (socket: us_listen_socket | false) => void,
) => TemplatedApp

export class Server {
  readonly #settings: ServerSettings
  readonly #handlers: WebSocketHandlers
  readonly #doors: MoreDoors
  readonly #socketIo: SocketIoDoor
  readonly #dashboard: Dashboard | undefined
  #app: TemplatedApp
  /** Of the certificate in use. */
  #fingerprint: string | undefined
  /** Those with earlier certificates, oldest first. */
  readonly #retired: TemplatedApp[] = []
  /** The present one last; one before it only while a certificate is renewed. */
  readonly #listening = new Set<us_listen_socket>()
  #port = 0

  /** @throws Error with one sentence when there is something wrong with the certificate. */
  constructor(settings: ServerSettings, handlers: WebSocketHandlers, doors: MoreDoors = {}) {
    this.#settings = settings
    this.#handlers = handlers
    this.#doors = doors
    this.#socketIo = new SocketIoDoor(settings, handlers)
    if (settings.dashboard) this.#dashboard = new Dashboard()
    const certificate = settings.certificate && readCertificate(settings.certificate)
    this.#fingerprint = certificate?.fingerprint
    this.#app = this.#withDoors(certificate ? uWS.SSLApp(certificate.options) : uWS.App())
  }

  #withDoors(app: TemplatedApp): TemplatedApp {
    const { healthPath } = this.#settings
    const { takeRequest, pages } = this.#doors
    if (healthPath !== undefined) {
      app.any(healthPath, (res, req) => this.#answer(res, req, '200 OK', 'application/json', healthBody))
    }
    for (const path of pages?.openPaths ?? []) app.any(path, (res, req) => show(pages, path, res, req))
    this.#socketIo.attach(app)
    this.#dashboard?.register(app)
    app.ws('/*', webSocketBehavior(this.#settings, this.#handlers))
    app.any('/*', (res, req) => {
      if (!takeRequest?.(res, req)) this.#answer(res, req, '404 Not Found', 'text/plain', () => 'Not Found')
    })
    return app
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
  async listen(): Promise<void> {
    const { host, port, certificate } = this.#settings
    if (!certificate) {
      this.#listen(port, EXCLUSIVE_PORT)
      return
    }
    const own = await unsharedPort(host, port).catch(() => undefined)
    if (own === undefined) throw this.#cannotListen()
    this.#listen(own, SHARED_PORT)
  }

  /**
   * Connections from now on get the certificate as it stands in its files; those that are open keep theirs.
   * @throws Error with one sentence when there is something wrong with it, which changes nothing
   */
  async renewCertificate(): Promise<void> {
    const [listened] = this.#listening
    if (!this.#settings.certificate || !listened) return
    const { options, fingerprint } = readCertificate(this.#settings.certificate)
    if (fingerprint === this.#fingerprint) return
    const former = this.#app
    this.#app = this.#withDoors(uWS.SSLApp(options))
    try {
      this.#listen(this.#port, SHARED_PORT)
    } catch (error) {
      this.#app = former
      throw error
    }
    this.#fingerprint = fingerprint
    this.#retired.push(former)
    await new Promise((resolve) => setTimeout(resolve, ACCEPT_MS))
    this.#stop(listened)
    if (this.#retired.length > MAX_RETIRED) this.#retired.shift()?.close()
  }

  #listen(port: number, options: number): void {
    const listen = this.#app.listen.bind(this.#app) as unknown as Listen
    // Called before it returns; an error must not leave through the transport.
    const answers: (us_listen_socket | false)[] = []
    listen(this.#settings.host, port, options, (socket) => answers.push(socket))
    const [socket] = answers
    if (!socket) throw this.#cannotListen()
    this.#listening.add(socket)
    this.#port = uWS.us_socket_local_port(socket)
  }

  #cannotListen(): Error {
    const { host, port } = this.#settings
    const advice = 'stop what uses it, or choose another with --port or DAEMON_PORT'
    return new Error(`cannot listen on ${host}:${port}; ${advice}`)
  }

  /** Takes no new connections; those that stand go on. */
  stopListening(): void {
    for (const socket of [...this.#listening]) this.#stop(socket)
  }

  /** Drops whatever is left. */
  close(): void {
    // Apps close what they listen at themselves.
    this.#listening.clear()
    this.#socketIo.close()
    for (const app of [...this.#retired, this.#app]) app.close()
  }

  #stop(socket: us_listen_socket): void {
    if (this.#listening.delete(socket)) uWS.us_listen_socket_close(socket)
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
