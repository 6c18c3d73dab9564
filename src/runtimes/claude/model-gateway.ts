/**
 * The way of Claude Code to the model: a door on loopback that each process enters with a key of its own, which is worth
 * nothing elsewhere and nothing while its session has no turn. The vendor's key stays in this process, out of reach of the
 * commands that a model runs beside it; every call is asked for right before it is made, as everywhere else; and nothing
 * but the messages endpoint is reached.
 *
 *   claude ── x-api-key: <pass> ──▶ gateway ── may this turn call? ── x-api-key: <vendor's key> ──▶ vendor
 */
import { randomUUID } from 'node:crypto'
import {
  createServer,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

/** What Claude Code asks: an answer, and how many tokens a request has. */
const PATHS: ReadonlySet<string> = new Set(['/v1/messages', '/v1/messages/count_tokens'])
/** Of our own hop, or replaced by us. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(['host', 'connection', 'x-api-key', 'authorization', 'keep-alive'])

export interface GatewayOptions {
  /** Where the vendor is, such as https://api.anthropic.com. */
  readonly upstream: string
  /** May be left out for a proxy that adds its own. */
  readonly apiKey: string | undefined
}

/** Of one process. */
export interface Pass {
  /** What the process holds as its API key. */
  readonly key: string
  /** Asked before each call, and throws when there may be none; no call passes while it is undefined. */
  mayCall: (() => void) | undefined
}

export class ModelGateway {
  readonly #options: GatewayOptions
  readonly #passes = new Map<string, Pass>()
  readonly #server = createServer((request, response) => this.#serve(request, response))
  readonly #upstream: URL
  readonly #agent: HttpAgent
  #starting: Promise<string> | undefined

  constructor(options: GatewayOptions) {
    this.#options = options
    this.#upstream = new URL(options.upstream)
    this.#agent = this.#isSecure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  }

  /** The address for `ANTHROPIC_BASE_URL`; listens from the first time on. */
  address(): Promise<string> {
    this.#starting ??= new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => {
        resolve(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`)
      })
    })
    return this.#starting
  }

  issuePass(): Pass {
    const pass: Pass = { key: `pass-${randomUUID()}`, mayCall: undefined }
    this.#passes.set(pass.key, pass)
    return pass
  }

  revoke(pass: Pass): void {
    this.#passes.delete(pass.key)
  }

  /** Cuts what still runs. May be called twice. */
  async stop(): Promise<void> {
    this.#passes.clear()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await this.#starting?.catch(() => undefined)
    this.#server.close()
  }

  get #isSecure(): boolean {
    return this.#upstream.protocol === 'https:'
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const refusal =
      request.method === 'POST' && PATHS.has(path) ? this.#refusalOf(request) : refused(404, 'nothing is here')
    if (refusal) refuse(response, refusal)
    else this.#forward(request, response)
  }

  #refusalOf(request: IncomingMessage): Refusal | undefined {
    const pass = this.#passes.get(keyOf(request))
    if (!pass?.mayCall) return refused(403, 'no task is running')
    try {
      pass.mayCall()
      return undefined
    } catch {
      return refused(503, 'this worker may start nothing at the moment')
    }
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const { apiKey } = this.#options
    const kept = Object.entries(request.headers).filter(([name]) => !NOT_FORWARDED.has(name))
    const headers = { ...Object.fromEntries(kept), 'x-api-key': apiKey ?? 'none' }
    const path = `${this.#upstream.pathname.replace(/\/$/, '')}${request.url}`
    const send = this.#isSecure ? httpsRequest : httpRequest
    const upstream = send({ ...target(this.#upstream), method: 'POST', path, headers, agent: this.#agent })
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      // A stream that breaks on one side is broken off on the other, which Claude Code or the vendor notices.
      pipeline(answer, response, () => undefined)
    })
    upstream.on('error', (error) => {
      if (response.headersSent) response.destroy()
      else refuse(response, refused(502, `the vendor cannot be reached: ${error.message}`))
    })
    response.on('close', () => upstream.destroy())
    pipeline(request, upstream, () => undefined)
  }
}

const target = ({ hostname, port }: URL) => ({
  hostname: hostname.replace(/^\[|\]$/g, ''),
  ...(port !== '' && { port: Number(port) }),
})

function keyOf({ headers }: IncomingMessage): string {
  const key = headers['x-api-key'] ?? headers.authorization?.replace(/^Bearer /i, '')
  return typeof key === 'string' ? key : ''
}

interface Refusal {
  readonly status: number
  readonly message: string
}

const refused = (status: number, message: string): Refusal => ({ status, message })

/** In the vendor's own form, which Claude Code understands. */
function refuse(response: ServerResponse, { status, message }: Refusal): void {
  const type = status < 500 ? 'permission_error' : 'api_error'
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ type: 'error', error: { type, message } }))
}
