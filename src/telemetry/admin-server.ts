/**
 * Pages for operators and machines on a port of their own: metrics, /health, /ready, /live.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Health } from './health.js'
import type { Log } from './log.js'
import type { Metrics } from './metrics.js'
import { redactText } from './redact.js'

export interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

export interface PageSources {
  readonly metrics: Pick<Metrics, 'page'>
  readonly health: Health
  readonly metricsPath: string
  readonly version: string
}

/** Answers a path; undefined when there is no such page. The edge serves the same pages when both ports are one. */
export type Pages = (path: string) => Promise<Page | undefined>

const JSON_TYPE = 'application/json'

export function createPages({ metrics, health, metricsPath, version }: PageSources): Pages {
  const pages = new Map<string, () => Promise<Page>>([
    ['/health', () => healthPage(health, version)],
    ['/ready', () => readyPage(health)],
    ['/live', async () => jsonPage(200, { alive: true, timestamp: now() })],
    [metricsPath, async () => ({ status: 200, ...(await metrics.page()) })],
  ])
  return async (path) => pages.get(path)?.()
}

async function healthPage(health: Health, version: string): Promise<Page> {
  const { status, checks } = await health.check()
  const uptime = Math.floor(process.uptime())
  // Messages of drivers may name the address that they failed to reach, with its password.
  const body = redactText(JSON.stringify({ status, version, uptime, checks, timestamp: now() }))
  return { status: status === 'unhealthy' ? 503 : 200, type: JSON_TYPE, body }
}

async function readyPage(health: Health): Promise<Page> {
  const { ready, message } = await health.readiness()
  return jsonPage(ready ? 200 : 503, { ready, timestamp: now(), message })
}

const jsonPage = (status: number, body: object): Page => ({ status, type: JSON_TYPE, body: JSON.stringify(body) })
const now = (): string => new Date().toISOString()

export interface AdminServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly pages: Pages
  readonly log: Log
}

/** A scrape that takes longer is given up; the header limit also ends clients that send nothing. */
const REQUEST_TIMEOUT_MS = 10_000

export class AdminServer {
  readonly #options: AdminServerOptions
  readonly #server: Server

  constructor(options: AdminServerOptions) {
    this.#options = options
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS })
    this.#server.on('request', (request, response) => void this.#answer(request, response))
  }

  /** The port in use, known after `start`. */
  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the admin server is not listening')
    return address.port
  }

  /** Listens; throws one sentence when the port is taken. */
  async start(): Promise<void> {
    const { host, port } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const reason = cause.code === 'EADDRINUSE' ? 'it is in use; set METRICS_PORT to another' : cause.message
        reject(new Error(`cannot listen on ${host}:${port} for metrics: ${reason}`, { cause }))
      })
      this.#server.listen({ host, port, exclusive: true }, resolve)
    })
    this.#server.removeAllListeners('error')
    this.#server.on('error', (err) => this.#options.log.warn({ err }, 'the metrics port reported an error'))
  }

  /** Ends at once, open connections included; may be called twice. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      send(response, request.method === 'GET' || request.method === 'HEAD' ? await this.#page(request) : NOT_ALLOWED)
    } catch (err) {
      this.#options.log.error({ err, path: request.url }, 'an admin page failed')
      send(response, jsonPage(500, { error: 'Internal error' }))
    }
  }

  async #page(request: IncomingMessage): Promise<Page> {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    return (await this.#options.pages(path)) ?? NOT_FOUND
  }
}

const NOT_FOUND = jsonPage(404, { error: 'Not found' })
const NOT_ALLOWED = jsonPage(405, { error: 'Method not allowed' })

function send(response: ServerResponse, { status, type, body }: Page): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  })
  response.end(body)
}
