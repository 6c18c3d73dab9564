/**
 * The HTTP parser and the doors behind it: requests of the table's endpoints, whole, changed and broken, byte by byte over
 * real connections. Answers have a status that this service gives, and refusals are of the table.
 */
import { connect, type Socket } from 'node:net'
import { z } from 'zod'
import { ERRORS } from '../../src/protocol/errors.js'
import type { Endpoint } from '../../src/protocol/rest/endpoint.js'
import { ENDPOINTS } from '../../src/protocol/rest/endpoints.js'
import type { SeededRandom } from '../support/random.js'
import { type JsonSchema, SchemaValues } from '../support/schema-values.js'
import type { EdgeUnderFire } from './edge-under-fire.js'
import { type Finding, shown, type Target } from './finding.js'
import { flipped, Inputs } from './inputs.js'
import { inLanes, type Lane } from './lanes.js'

const LANES = 48
const BATCH = 40
/** Whoever is asked half a question does not answer; the next input comes over a new connection then. */
const SILENCE_MS = 60
const CONNECT_MS = 10_000
const STATUSES = new Set([
  ...[
    100, 101, 200, 201, 202, 204, 206, 301, 302, 304, 308, 400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422,
    426, 429,
  ],
  ...[431, 501, 503, 505],
])
const OTHER_PATHS = [
  ...[
    '/',
    '/health',
    '/ui/',
    '/ui/../../etc/passwd',
    '/metrics',
    '//',
    '/%00',
    '/api/../api/status',
    '*',
    '/api/sessions/%',
  ],
  ...['/socket.io/?EIO=4&transport=polling', '/socket.io/?EIO=4&transport=polling&sid=x', '/socket.io/?EIO=9'],
]
const METHODS = ['GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'FOO', 'get']
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP', '']
const HEADERS = [
  ...['transfer-encoding: chunked', 'content-length: -1', 'content-length: 99999999999999999999', 'content-length: 5'],
  ...['expect: 100-continue', 'upgrade: websocket', 'origin: http://localhost:3000', 'origin: null', 'x: y\0z', ': x'],
  ...[
    'if-none-match: "x"',
    'last-event-id: 7-42',
    'last-event-id: ²',
    'idempotency-key: k',
    'range: bytes=0-',
    'cookie: a=b',
  ],
  ...[
    'authorization: Basic eDp5',
    'authorization: Bearer',
    'x-forwarded-for: 1.2.3.4',
    'content-type: text/html',
    'te: x',
  ],
]

export class HttpTarget implements Target {
  readonly name = 'HTTP'

  constructor(
    private readonly random: SeededRandom,
    private readonly edge: EdgeUnderFire,
  ) {}

  async run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]> {
    const requests = new Requests(this.random, await this.edge.token())
    const lanes = Array.from({ length: LANES }, () => new HttpLane(this.edge.port, requests))
    return await inLanes(lanes, inputs, BATCH, onInput)
  }
}

class Requests {
  readonly #random: SeededRandom
  readonly #inputs: Inputs
  readonly #values: SchemaValues
  readonly #endpoints: readonly Endpoint[] = Object.values(ENDPOINTS)
  readonly #bodies = new Map<Endpoint, JsonSchema>()
  readonly #token: string

  constructor(random: SeededRandom, token: string) {
    this.#random = random
    this.#token = token
    this.#inputs = new Inputs(random)
    this.#values = new SchemaValues(random, {})
    for (const endpoint of this.#endpoints) {
      const schema = endpoint.body && z.toJSONSchema(endpoint.body, { io: 'input', unrepresentable: 'any' })
      if (schema) this.#bodies.set(endpoint, schema as JsonSchema)
    }
  }

  next(): Buffer {
    const kind = this.#random.integer(0, 19)
    if (kind === 0) return this.#inputs.garbage()
    const request = Buffer.from(this.#request(), 'latin1')
    if (kind < 4) return flipped(request, this.#random)
    if (kind < 6) return request.subarray(0, this.#random.integer(0, request.length))
    if (kind === 6) return Buffer.concat([request, Buffer.from(this.#request(), 'latin1')])
    return request
  }

  #request(): string {
    const endpoint = this.#random.pick(this.#endpoints)
    const isOther = this.#random.integer(0, 9) === 0
    const path = isOther ? this.#random.pick(OTHER_PATHS) : this.#path(endpoint)
    const method = this.#random.integer(0, 9) === 0 ? this.#random.pick(METHODS) : endpoint.method
    const body = method === 'GET' ? '' : this.#body(endpoint)
    const lineEnd = this.#random.integer(0, 29) === 0 ? '\n' : '\r\n'
    const lines = [`${method} ${path} ${this.#random.pick(VERSIONS)}`, 'host: localhost', ...this.#headers()]
    if (body !== '') lines.push(`content-length: ${Buffer.byteLength(body)}`, 'content-type: application/json')
    return `${lines.join(lineEnd)}${lineEnd}${lineEnd}${Buffer.from(body).toString('latin1')}`
  }

  #path({ path }: Endpoint): string {
    const filled = path.replaceAll(/\{[^}]+\}/g, () => encodeURIComponent(this.#text()))
    const query = this.#random.integer(0, 2) === 0 ? `?limit=${encodeURIComponent(this.#text())}&${this.#text()}` : ''
    return `${filled}${query}`.replaceAll(/[^\x21-\x7e]/g, '%20')
  }

  #text(): string {
    const drawn = this.#values.draw({ type: 'string', maxLength: 300 })
    return Buffer.from(typeof drawn === 'string' ? drawn : (JSON.stringify(drawn) ?? '')).toString('utf8')
  }

  #body(endpoint: Endpoint): string {
    const schema = this.#bodies.get(endpoint)
    const text = schema ? (JSON.stringify(this.#values.draw(schema)) ?? '') : this.#inputs.message()
    return this.#random.integer(0, 2) === 0 ? this.#inputs.changed(text) : text
  }

  #headers(): string[] {
    const known = this.#random.integer(0, 3) > 0 ? [`authorization: Bearer ${this.#token}`] : []
    const others = Array.from({ length: this.#random.integer(0, 2) }, () => this.#header())
    return [...known, ...others]
  }

  #header(): string {
    const kind = this.#random.integer(0, 29)
    if (kind === 0) return `x-long: ${'x'.repeat(this.#random.pick([100, 5_000, 20_000]))}`
    if (kind === 1) return Array.from({ length: 120 }, (_, n) => `x-${n}: ${n}`).join('\r\n')
    if (kind === 2) return `authorization: Bearer ${this.#inputs.changed(this.#token)}`.replaceAll(/[\r\n]/g, '')
    return this.#random.pick(HEADERS)
  }
}

class HttpLane implements Lane {
  #socket: Socket | undefined
  #text = ''
  #settle: (() => void) | undefined

  constructor(
    private readonly port: number,
    private readonly requests: Requests,
  ) {}

  async throwBatch(count: number): Promise<readonly Finding[]> {
    const findings: Finding[] = []
    for (let n = 0; n < count; n++) {
      const input = this.requests.next()
      const socket = await this.#open()
      this.#text = ''
      socket.write(input)
      await this.#answered(socket)
      const what = faultIn(this.#text)
      if (what !== undefined) findings.push({ what, input: shown(input.toString('latin1')) })
    }
    return findings
  }

  close(): void {
    this.#socket?.destroy()
  }

  async #open(): Promise<Socket> {
    if (this.#socket && !this.#socket.destroyed && this.#socket.writable) return this.#socket
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true })
    this.#socket = socket
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(CONNECT_MS, () => reject(new Error('the port does not take connections')))
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    socket.setTimeout(0)
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      this.#text += data.toString('latin1')
      if (isWhole(this.#text)) this.#settle?.()
    })
    socket.on('close', () => this.#settle?.())
    return socket
  }

  async #answered(socket: Socket): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        socket.destroy()
        resolve()
      }, SILENCE_MS)
      this.#settle = () => {
        clearTimeout(timer)
        resolve()
      }
      if (socket.destroyed) this.#settle()
    })
    this.#settle = undefined
  }
}

/** Whether an answer has come to its end, as far as its head tells. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1]
  return length !== undefined && text.length >= end + 4 + Number(length)
}

function faultIn(text: string): string | undefined {
  for (const [, status] of text.matchAll(/(?:^|\n|\})HTTP\/1\.1 (\d{3})/g)) {
    if (!STATUSES.has(Number(status))) return `an answer with the status ${status}: ${text.slice(0, 300)}`
  }
  for (const [, code = ''] of text.matchAll(/"code":"(\w+)"/g)) {
    if (!(code in ERRORS) || code === 'internal') return `a refusal with the code ${code}: ${text.slice(-300)}`
  }
  return undefined
}
