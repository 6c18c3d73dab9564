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
import type { Usage } from '../../models/model.js'
import { ServiceError } from '../../protocol/errors.js'
import { textSize } from '../prompt-size.js'
import type { Allowance, PlannedCall } from '../runtime.js'
import { MeteredAnswer } from './metered-answer.js'

/** What Claude Code asks: an answer, and how many tokens a request has. */
const MESSAGES = '/v1/messages'
const PATHS: ReadonlySet<string> = new Set([MESSAGES, '/v1/messages/count_tokens'])
/** The vendor takes no more either. */
const MAX_BODY_BYTES = 32 * 1_048_576
const NOTHING: Usage = { promptTokens: 0, completionTokens: 0 }
/** Of a question that costs nothing. */
const UNCOUNTED: Allowance = { maxTokens: 0, settle: async () => undefined }
/** What the call has used is read from the answer. */
const READABLE = { 'accept-encoding': 'identity' } as const
/** Of our own hop, or replaced by us. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...['host', 'connection', 'x-api-key', 'authorization', 'keep-alive'],
  ...['content-length', 'transfer-encoding', 'expect'],
])

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
  /** No call passes while it is undefined. */
  calls: ModelCalls | undefined
}

/** Asked before each call. */
export interface ModelCalls {
  /** Throws when there may be none at this moment. */
  mayCall(): void
  /** @throws ServiceError `budget_exceeded` */
  reserve(call: PlannedCall): Promise<Allowance>
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
    const pass: Pass = { key: `pass-${randomUUID()}`, calls: undefined }
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
    const calls = this.#passes.get(keyOf(request))?.calls
    if (request.method !== 'POST' || !PATHS.has(path)) refuse(response, refused(404, 'nothing is here'))
    else if (!calls) refuse(response, refused(403, 'no task is running'))
    // A request that breaks off has nobody left to answer.
    else this.#carryOut(request, response, calls, path === MESSAGES).catch(() => response.destroy())
  }

  async #carryOut(request: IncomingMessage, response: ServerResponse, calls: ModelCalls, counts: boolean) {
    const body = await bodyOf(request)
    if (body === undefined) return refuse(response, refused(413, 'the request is too large'))
    const allowance = counts ? await allowed(calls, body) : UNCOUNTED
    if ('status' in allowance) return refuse(response, allowance)
    const refusal = mayCallNow(calls)
    if (!refusal && !response.destroyed) return this.#forward(request, response, body, allowance)
    await allowance.settle(NOTHING)
    if (refusal) refuse(response, refusal)
  }

  #forward(request: IncomingMessage, response: ServerResponse, body: Buffer, allowance: Allowance): void {
    const { apiKey } = this.#options
    const kept = Object.entries(request.headers).filter(([name]) => !NOT_FORWARDED.has(name))
    const headers = { ...Object.fromEntries(kept), ...READABLE, 'x-api-key': apiKey ?? 'none' }
    const answered = new MeteredAnswer()
    const settle = (usage: Usage) => void allowance.settle(usage, answered.tools)
    const path = `${this.#upstream.pathname.replace(/\/$/, '')}${request.url}`
    const send = this.#isSecure ? httpsRequest : httpRequest
    const upstream = send({ ...target(this.#upstream), method: 'POST', path, headers, agent: this.#agent })
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      // A stream that breaks on one side is broken off on the other, which Claude Code or the vendor notices.
      pipeline(answer, answered, response, () => settle(answered.usage))
    })
    upstream.on('error', (error) => {
      settle(NOTHING)
      if (response.headersSent) response.destroy()
      else refuse(response, refused(502, `the vendor cannot be reached: ${error.message}`))
    })
    response.on('close', () => upstream.destroy())
    upstream.end(body)
  }
}

/** What the call of this request may use, or why it may not be made. */
async function allowed(calls: ModelCalls, body: Buffer): Promise<Allowance | Refusal> {
  const text = body.toString('utf8')
  const model = /"model"\s*:\s*"([^"]{1,256})"/.exec(text)?.[1] ?? 'unknown'
  const maxTokens = Number(/"max_tokens"\s*:\s*(\d{1,9})/.exec(text)?.[1] ?? 0)
  try {
    return await calls.reserve({ model, promptTokens: textSize(text), maxTokens })
  } catch (error) {
    // Not to be tried again: the turn ends with it.
    if (error instanceof ServiceError) return refused(403, error.message)
    return refused(503, 'this worker may start nothing at the moment')
  }
}

function mayCallNow(calls: ModelCalls): Refusal | undefined {
  try {
    calls.mayCall()
    return undefined
  } catch {
    return refused(503, 'this worker may start nothing at the moment')
  }
}

/** Undefined for one that is too large. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
  }
  return size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks)
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
