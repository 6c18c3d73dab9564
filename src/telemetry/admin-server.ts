/**
 * The port for operators and machines, beside the one for clients.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import { type CorsHeader, corsHeaders, PREFLIGHT_MAX_AGE_SECONDS } from '../protocol/cors.js'
import type { Log } from './log.js'
import { jsonPage, type Page, type Pages } from './pages.js'

export interface AdminServerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly pages: Pick<Pages, 'answer'>
  readonly log: Log
  /** Origins whose pages may read answers; undefined: none. */
  readonly corsOrigins?: readonly string[] | undefined
  /** With it the port speaks TLS and nothing else. */
  readonly certificate?: CertificateFiles | undefined
}

/** PEM. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly passphrase: string | undefined
}

/** A scrape that takes longer is given up; the header limit also ends clients that send nothing. */
const REQUEST_TIMEOUT_MS = 10_000
/** The longest body that says anything here has some thirty bytes. */
const MAX_BODY_BYTES = 1_024

export class AdminServer {
  readonly #options: AdminServerOptions
  readonly #server: Server
  /** The same, where it speaks TLS. */
  readonly #secure: SecureServer | undefined

  constructor(options: AdminServerOptions) {
    this.#options = options
    const limits = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }
    const { certificate } = options
    this.#secure = certificate && createSecureServer({ ...limits, ...secured(certificate) })
    this.#server = this.#secure ?? createServer(limits)
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

  /**
   * Shows connections from now on the certificate as it stands in its files; those that are open keep theirs.
   * @throws Error when the files are not a certificate and its key: the one in use stays
   */
  renewCertificate(): void {
    const { certificate } = this.#options
    if (certificate) this.#secure?.setSecureContext(secured(certificate))
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
      if (this.#isPreflight(request)) this.#allow(request, response)
      else send(response, await this.#page(request), this.#cors(request))
    } catch (err) {
      if (request.destroyed && !request.complete) return
      this.#options.log.error({ err, path: request.url }, 'an admin page failed')
      send(response, jsonPage(500, { error: 'Internal error' }))
    }
  }

  #cors({ headers }: IncomingMessage): readonly CorsHeader[] {
    return corsHeaders(headers.origin ?? '', this.#options.corsOrigins ?? [])
  }

  #isPreflight({ method, headers }: IncomingMessage): boolean {
    const { corsOrigins } = this.#options
    return corsOrigins !== undefined && method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
  }

  /** Pages of others may read; what changes something is asked for from this machine only. */
  #allow(request: IncomingMessage, response: ServerResponse): void {
    const allowed: readonly CorsHeader[] = [
      ['access-control-allow-methods', 'GET, HEAD'],
      ['access-control-max-age', String(PREFLIGHT_MAX_AGE_SECONDS)],
    ]
    response.writeHead(204, Object.fromEntries([...this.#cors(request), ...allowed])).end()
  }

  async #page(request: IncomingMessage): Promise<Page> {
    const body = await bodyOf(request)
    if (body === undefined) return jsonPage(413, { error: `Send no more than ${MAX_BODY_BYTES} bytes` })
    const { method = 'GET', url = '/' } = request
    return await this.#options.pages.answer({ method, path: url.split('?')[0] ?? '/', body, isLocal: isLocal(request) })
  }
}

function secured({ certFile, keyFile, passphrase }: CertificateFiles) {
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)]
  return { cert, key, minVersion: 'TLSv1.2', ...(passphrase !== undefined && { passphrase }) } as const
}

/** Undefined when it is too long. @throws when the client goes away in the middle. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > MAX_BODY_BYTES) return undefined
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/
/** A proxy on this machine speaks for others; a browser on this machine speaks for any page that it shows. */
const SPEAKS_FOR_OTHERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'origin', 'sec-fetch-site']

function isLocal({ socket, headers }: IncomingMessage): boolean {
  return LOOPBACK.test(socket.remoteAddress ?? '') && SPEAKS_FOR_OTHERS.every((name) => headers[name] === undefined)
}

function send(response: ServerResponse, { status, type, body }: Page, more: readonly CorsHeader[] = []): void {
  response.writeHead(status, {
    ...Object.fromEntries(more),
    'x-content-type-options': 'nosniff',
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  })
  response.end(body)
}
