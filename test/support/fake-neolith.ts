/**
 * A Neolith that answers as the real one does, row by row of section "Neolith" of docs/compatibility.md, and breaks in the
 * ways that a test asks for. It remembers every request.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const API_KEY = 'vp_orch-1_0123456789abcdef0123456789abcdef'
export const API_SECRET = 'the-secret-of-neolith-that-nobody-may-see'
export const ORCHESTRATOR = 'orch-1'
export const USER = 'user-of-orch-1'

/** What becomes of a request instead of its answer. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string; readonly body?: string }
  /** 200, and no JSON. */
  | { readonly kind: 'garbage' }
  /** 200 and JSON that lacks everything. */
  | { readonly kind: 'empty' }
  /** The connection is cut; `done`: after the work, before the answer. */
  | { readonly kind: 'cut'; readonly done?: true }
  /** The answer comes so late; the work is done at once. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** 401, as if the token had been revoked. */
  | { readonly kind: 'revoked' }

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Record<string, unknown>
  readonly authorization: string | undefined
  readonly at: number
}

export interface StoredMessage {
  readonly id: string
  readonly content: string
  readonly channelId: string
  readonly parentId: string | null
  readonly authorId: string
  readonly metadata: Record<string, unknown> | null
  readonly createdAt: string
}

interface Reply {
  readonly status: number
  readonly body: object
}

type Handler = (request: Recorded, neolith: FakeNeolith) => Reply

const ok = (body: object): Reply => ({ status: 200, body })
const refused = (status: number, code: string, error = code): Reply => ({ status, body: { error, code } })
const nested = (status: number, code: string): Reply => ({ status, body: { error: { message: code, code } } })

export class FakeNeolith {
  readonly requests: Recorded[] = []
  readonly messages: StoredMessage[] = []
  readonly acknowledged = new Set<string>()
  readonly statuses: string[] = []
  readonly heartbeats: Record<string, unknown>[] = []
  /** Of the orchestrator; OFFLINE makes sign-ins fail. */
  status = 'ONLINE'
  tokenLifeMs = 60 * 60 * 1_000
  heartbeatIntervalMs = 30_000
  messagesPerMinute = 60
  /** The server's clock less ours. */
  clockMs = 0
  readonly channels = [
    { id: 'chan-1', name: 'general', type: 'PUBLIC', isPrivate: false, memberCount: 3, messageCount: 7 },
    { id: 'dm-1', name: 'direct', type: 'DM', isPrivate: true, memberCount: 2, messageCount: 0 },
  ]
  #faults: { readonly call: string; readonly fault: Fault }[] = []
  readonly #secret = randomUUID()
  readonly #refreshTokens = new Set<string>()
  readonly #revoked = new Set<string>()
  readonly #accessTokens = new Set<string>()
  #server: Server | undefined
  #port = 0
  #minted = 0
  /** Two of them never give the same id, as two real ones do not. */
  readonly #prefix = randomUUID().slice(0, 8)

  static async start(): Promise<FakeNeolith> {
    const neolith = new FakeNeolith()
    neolith.#server = createServer((request, response) => void neolith.#serve(request, response))
    neolith.#server.listen(0, '127.0.0.1')
    await once(neolith.#server, 'listening')
    neolith.#port = (neolith.#server.address() as AddressInfo).port
    return neolith
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }

  /** The next requests of a call, such as `POST /api/daemon/messages`, meet these in their order. */
  fail(call: string, ...faults: readonly Fault[]): void {
    this.#faults.push(...faults.map((fault) => ({ call, fault })))
  }

  /** Faults that nobody has met yet are forgotten. */
  heal(): void {
    this.#faults = []
  }

  /** Faults that nobody has met yet. */
  get faultsLeft(): number {
    return this.#faults.length
  }

  calls(call: string): readonly Recorded[] {
    return this.requests.filter(({ method, path }) => `${method} ${path}` === call)
  }

  /** Access tokens that it has given out are no good from now on. */
  revokeAccess(): void {
    for (const token of this.#accessTokens) this.#revoked.add(token)
  }

  revokeRefresh(): void {
    this.#refreshTokens.clear()
  }

  /** Everything that must never be seen elsewhere. */
  get secrets(): readonly string[] {
    return [API_KEY, API_SECRET, ...this.#accessTokens, ...this.#refreshTokens]
  }

  /** A person writes in a channel. */
  say(content: string, channelId = 'chan-1', authorId = 'alice'): StoredMessage {
    return this.#store({ content, channelId, parentId: null, authorId, metadata: null })
  }

  /** What the orchestrator has written in the thread of a message. */
  answersTo({ id }: StoredMessage): readonly StoredMessage[] {
    return this.messages.filter(({ parentId, authorId }) => parentId === id && authorId === USER)
  }

  now(): string {
    return new Date(Date.now() + this.clockMs).toISOString()
  }

  mint(type: 'access' | 'refresh'): string {
    this.#minted += 1
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const unsigned = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ orchestratorId: ORCHESTRATOR, type, n: this.#minted })}`
    const token = `${unsigned}.${createHmac('sha256', this.#secret).update(unsigned).digest('base64url')}`
    if (type === 'access') this.#accessTokens.add(token)
    else this.#refreshTokens.add(token)
    return token
  }

  knowsRefresh(token: unknown): boolean {
    return typeof token === 'string' && this.#refreshTokens.has(token)
  }

  store(message: Omit<StoredMessage, 'id' | 'createdAt'>): StoredMessage {
    return this.#store(message)
  }

  #store(message: Omit<StoredMessage, 'id' | 'createdAt'>): StoredMessage {
    const stored = { ...message, id: `${this.#prefix}-${this.messages.length + 1}`, createdAt: this.now() }
    this.messages.push(stored)
    return stored
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const piece of request) text += piece
    const url = new URL(request.url ?? '', 'http://neolith')
    const recorded: Recorded = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      authorization: request.headers.authorization,
      at: performance.now(),
    }
    this.requests.push(recorded)
    await this.#answer(recorded, response, this.#faultOf(recorded))
  }

  #faultOf({ method, path }: Recorded): Fault | undefined {
    const at = this.#faults.findIndex(({ call }) => call === '*' || call === `${method} ${path}`)
    return at === -1 ? undefined : this.#faults.splice(at, 1)[0]?.fault
  }

  async #answer(recorded: Recorded, response: ServerResponse, fault: Fault | undefined): Promise<void> {
    if (fault?.kind === 'cut' && !fault.done) return void response.destroy()
    if (fault?.kind === 'revoked') return send(response, refused(401, 'UNAUTHORIZED', 'Unauthorized'), this.#date)
    if (fault?.kind === 'status') return this.#sendStatus(response, fault)
    const reply = this.#handle(recorded)
    if (fault?.kind === 'cut') return void response.destroy()
    if (fault?.kind === 'slow') await sleep(fault.ms, undefined, { ref: false })
    if (fault?.kind === 'garbage') return void response.writeHead(200).end('<html>Gateway</html>')
    send(response, fault?.kind === 'empty' ? ok({}) : reply, this.#date)
  }

  #sendStatus(response: ServerResponse, { status, retryAfter, body }: Extract<Fault, { kind: 'status' }>): void {
    if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body ?? JSON.stringify({ error: `fault ${status}`, code: 'INTERNAL_ERROR' }))
  }

  get #date(): string {
    return new Date(Date.now() + this.clockMs).toUTCString()
  }

  #handle(recorded: Recorded): Reply {
    const join = /^\/api\/daemon\/channels\/([^/]+)\/join$/.exec(recorded.path)
    const name = `${recorded.method} ${join ? '/api/daemon/channels/:id/join' : recorded.path}`
    const handler = HANDLERS[name]
    if (!handler) return refused(404, 'NOT_FOUND')
    if (!UNSIGNED.includes(name) && !this.#isSigned(recorded)) return refused(401, 'UNAUTHORIZED', 'Unauthorized')
    return handler(recorded, this)
  }

  #isSigned({ authorization = '' }: Recorded): boolean {
    const token = authorization.replace('Bearer ', '')
    return this.#accessTokens.has(token) && !this.#revoked.has(token)
  }
}

function send(response: ServerResponse, { status, body }: Reply, date: string): void {
  response.sendDate = false
  response.writeHead(status, { 'content-type': 'application/json', date }).end(JSON.stringify(body))
}

const UNSIGNED = ['POST /api/daemon/auth', 'POST /api/daemon/auth/refresh', 'POST /api/daemon']
const HEARTBEAT_STATUSES = ['active', 'idle', 'busy', undefined]

const HANDLERS: Readonly<Record<string, Handler>> = {
  'POST /api/daemon/auth': ({ body }, neolith) => {
    if (typeof body.apiKey !== 'string' || typeof body.apiSecret !== 'string') return refused(400, 'VALIDATION_ERROR')
    if (body.apiKey !== API_KEY || body.apiSecret !== API_SECRET) return refused(401, 'INVALID_CREDENTIALS')
    if (neolith.status === 'OFFLINE') return refused(403, 'DAEMON_DISABLED')
    return ok({
      accessToken: neolith.mint('access'),
      refreshToken: neolith.mint('refresh'),
      expiresAt: expiry(neolith),
      sessionId: `daemon_session_${ORCHESTRATOR}_${Date.now()}`,
      orchestrator: {
        ...{ id: ORCHESTRATOR, discipline: null, role: 'helper', status: neolith.status },
        user: { id: USER, name: 'Helper', email: 'helper@example.org', status: 'ACTIVE' },
        organization: { id: 'org-1', name: 'Acme', slug: 'acme' },
      },
    })
  },
  'POST /api/daemon/auth/refresh': ({ body }, neolith) => {
    if (body.refreshToken === undefined) return refused(400, 'VALIDATION_ERROR')
    if (!neolith.knowsRefresh(body.refreshToken)) return refused(401, 'TOKEN_REVOKED', 'Token has been revoked')
    return ok({ accessToken: neolith.mint('access'), expiresAt: expiry(neolith) })
  },
  'POST /api/daemon/heartbeat': ({ body }, neolith) => {
    if (!HEARTBEAT_STATUSES.includes(body.status as string | undefined)) return refused(400, 'VALIDATION_ERROR')
    neolith.heartbeats.push(body)
    neolith.status = body.status === 'idle' ? 'AWAY' : body.status === 'busy' ? 'BUSY' : 'ONLINE'
    const nextHeartbeat = new Date(Date.now() + neolith.heartbeatIntervalMs).toISOString()
    const { heartbeatIntervalMs } = neolith
    return ok({ success: true, serverTime: neolith.now(), nextHeartbeat, heartbeatIntervalMs })
  },
  'GET /api/daemon/config': (_request, neolith) =>
    ok({
      orchestrator: {
        ...{ id: ORCHESTRATOR, discipline: null, role: 'helper', status: neolith.status, daemonEndpoint: null },
        ...{ createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-02T00:00:00.000Z' },
      },
      user: { id: USER, name: 'Helper' },
      organization: { id: 'org-1', name: 'Acme', slug: 'acme' },
      capabilities: {},
      charter: null,
      operationalConfig: {
        ...{ heartbeatIntervalMs: neolith.heartbeatIntervalMs, reconnectDelayMs: 5_000, maxReconnectAttempts: 10 },
        ...{ messageRateLimitPerMinute: neolith.messagesPerMinute, idleTimeoutMs: 300_000 },
      },
      scopes: ['*'],
      endpoints: { messages: '/api/daemon/messages' },
    }),
  'GET /api/daemon/messages': ({ query }, neolith) => {
    const channelId = query.get('channelId')
    if (!channelId) return refused(400, 'VALIDATION_ERROR')
    if (!isMember(neolith, channelId)) return refused(403, 'CHANNEL_ACCESS_DENIED')
    const [after, before] = [query.get('after'), query.get('before')]
    const place = (id: string | null) => neolith.messages.findIndex((message) => message.id === id)
    const found = neolith.messages.filter(
      (message, index) =>
        message.channelId === channelId &&
        (after === null || index > place(after)) &&
        (before === null || index < place(before)),
    )
    const limit = Math.min(Number(query.get('limit') ?? 50), 100)
    return ok({ messages: found.slice(-limit).map(shown) })
  },
  'POST /api/daemon/messages': ({ body }, neolith) => {
    const { channelId, content, threadId, metadata } = body as Record<string, string | undefined>
    if (!channelId || !content) return refused(400, 'VALIDATION_ERROR')
    if (!isMember(neolith, channelId)) return refused(403, 'CHANNEL_ACCESS_DENIED')
    const stored = neolith.store({
      ...{ content, channelId, parentId: threadId ?? null, authorId: USER },
      metadata: (metadata as unknown as Record<string, unknown> | undefined) ?? null,
    })
    return ok({ messageId: stored.id })
  },
  'PUT /api/daemon/status': ({ body }, neolith) => {
    if (!['active', 'paused', 'error'].includes(String(body.status))) return refused(400, 'VALIDATION_ERROR')
    neolith.statuses.push(String(body.status))
    neolith.status = body.status === 'error' ? 'OFFLINE' : body.status === 'paused' ? 'BUSY' : 'ONLINE'
    return ok({ success: true })
  },
  'GET /api/daemon/events': ({ query }, neolith) => {
    const since = query.get('since') ?? new Date(Date.now() + neolith.clockMs - 300_000).toISOString()
    const fresh = neolith.messages
      .filter(({ createdAt }) => Date.parse(createdAt) > Date.parse(since))
      .slice(0, 100)
      .filter(({ authorId }) => authorId !== USER)
    return ok({ events: fresh.map(eventOf) })
  },
  'DELETE /api/daemon/events': ({ body }, neolith) => {
    const ids = body.eventIds
    if (!Array.isArray(ids) || ids.length === 0) return refused(400, 'VALIDATION_ERROR')
    for (const id of ids) neolith.acknowledged.add(String(id))
    return ok({ success: true, acknowledged: ids.length })
  },
  'PUT /api/daemon/presence': ({ body }, neolith) => {
    neolith.status = body.status === 'offline' ? 'OFFLINE' : body.status === 'busy' ? 'BUSY' : 'ONLINE'
    return ok({ success: true })
  },
  'GET /api/daemon/channels': (_request, { channels }) => ok({ channels }),
  'POST /api/daemon/channels/:id/join': ({ path }, neolith) => {
    const id = path.split('/')[4] ?? ''
    if (isMember(neolith, id)) return refused(409, 'ALREADY_MEMBER')
    neolith.channels.push({ id, name: id, type: 'PUBLIC', isPrivate: false, memberCount: 1, messageCount: 0 })
    return ok({ success: true })
  },
  'DELETE /api/daemon/channels/:id/join': ({ path }, neolith) => {
    const at = neolith.channels.findIndex(({ id }) => id === path.split('/')[4])
    if (at === -1) return refused(404, 'NOT_MEMBER')
    neolith.channels.splice(at, 1)
    return ok({ success: true })
  },
  'GET /api/daemon': () => ok({ success: true, data: { orchestratorId: ORCHESTRATOR, status: 'online' } }),
  'POST /api/daemon': ({ body }) => {
    if (!String(body.apiKey).startsWith('vp_')) return nested(401, 'UNAUTHORIZED')
    return { status: 201, body: { success: true, data: { orchestratorId: body.orchestratorId } } }
  },
  'DELETE /api/daemon': (_request, neolith) => {
    neolith.status = 'OFFLINE'
    return ok({ success: true, message: 'Daemon unregistered successfully' })
  },
  'GET /api/daemon/sessions': () => ok({ sessions: [{ id: 'session-1', orchestratorId: ORCHESTRATOR }], total: 1 }),
  'POST /api/daemon/sessions': ({ body }) =>
    body.orchestratorId === ORCHESTRATOR
      ? { status: 201, body: { success: true, session: { id: 'session-2', ...body } } }
      : nested(403, 'FORBIDDEN'),
  'PATCH /api/daemon/sessions': ({ body }) =>
    ok({ success: true, session: { id: body.sessionId, status: body.status } }),
  'DELETE /api/daemon/sessions': ({ query }) =>
    query.get('sessionId') === null ? nested(400, 'VALIDATION_ERROR') : ok({ success: true }),
}

const expiry = ({ clockMs, tokenLifeMs }: FakeNeolith): string =>
  new Date(Date.now() + clockMs + tokenLifeMs).toISOString()

const isMember = ({ channels }: FakeNeolith, id: string): boolean => channels.some((channel) => channel.id === id)

const shown = ({ authorId, ...message }: StoredMessage) => ({
  ...message,
  ...{ type: 'TEXT', updatedAt: message.createdAt, isEdited: false, author: { id: authorId, name: authorId } },
})

const eventOf = ({ id, content, authorId, channelId, createdAt }: StoredMessage) => ({
  ...{ id: `msg_${id}`, type: 'message_created', createdAt, channelId, messageId: id },
  payload: {
    message: { id, content, author: { id: authorId, name: authorId }, channel: { id: channelId }, createdAt },
  },
})
