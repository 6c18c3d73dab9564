/**
 * The client of Neolith's daemon API, for programs and for this service.
 *
 *   const client = new NeolithApiClient({ baseUrl, apiKey, apiSecret })
 *   await client.authenticate(['messages:read', 'messages:write'])
 *   await client.sendMessage('chan_123', 'Task completed successfully!')
 *
 * Access tokens are replaced before they end. A call is repeated only where that cannot take effect twice; what is left is
 * the caller's to decide by `NeolithError.mayBeTaken`.
 */
import { Access, notAuthenticated } from './access.js'
import * as read from './answers.js'
import { Breaker, type BreakerState } from './breaker.js'
import { CALLS } from './calls.js'
import type { NeolithRequest } from './exchange.js'
import { NeolithError } from './neolith-error.js'
import { MemoryTokens, type TokenStore, type Tokens } from './tokens.js'
import { type CallObserver, type Reader, Transport } from './transport.js'
import type * as T from './types.js'

export { NeolithError } from './neolith-error.js'
export type * from './types.js'

const DEFAULTS = { attempts: 3, firstPauseMs: 1_000, bufferMs: 5 * 60 * 1_000, timeoutMs: 10_000 }

/** What a service adds: nodes that share tokens, figures, an end. */
export interface NeolithClientParts {
  readonly store?: TokenStore
  readonly observe?: CallObserver
  readonly onBreaker?: (state: BreakerState) => void
  /** Ends what is under way. */
  readonly signal?: AbortSignal
}

export class NeolithApiClient {
  readonly #access: Access
  readonly #transport: Transport
  readonly #apiKey: string

  constructor(config: T.NeolithApiConfig, parts: NeolithClientParts = {}) {
    const { baseUrl, apiKey, apiSecret, timeoutMs = DEFAULTS.timeoutMs } = config
    const { onBreaker, observe = () => undefined, signal = new AbortController().signal } = parts
    this.#apiKey = apiKey
    this.#transport = new Transport({
      ...{ baseUrl, timeoutMs, observe, signal, secrets: [apiKey, apiSecret] },
      attempts: config.retryAttempts ?? DEFAULTS.attempts,
      firstPauseMs: config.retryDelay ?? DEFAULTS.firstPauseMs,
      breaker: new Breaker({ clock: () => performance.now(), ...(onBreaker && { onState: onBreaker }) }),
    })
    this.#access = new Access({
      ...{ apiKey, apiSecret, transport: this.#transport, store: parts.store ?? new MemoryTokens() },
      bufferMs: config.tokenRefreshBuffer ?? DEFAULTS.bufferMs,
    })
  }

  get breakerState(): BreakerState {
    return this.#transport.breakerState
  }

  /** The time by Neolith's clock, in ms since 1970, as far as its answers told. */
  serverNow(): number {
    return this.#transport.serverNow()
  }

  /** Signs in with the key. */
  authenticate(scopes: readonly string[] = []): Promise<T.AuthResponse> {
    return this.#access.signIn(scopes)
  }

  /** Takes over the tokens that another node of the cluster keeps, and signs in where there are none. */
  join(scopes: readonly string[]): Promise<Tokens> {
    return this.#access.join(scopes)
  }

  async refreshAccessToken(): Promise<T.RefreshResponse> {
    const { tokens } = this.#access
    if (!tokens) throw notAuthenticated()
    const { accessToken, expiresAt } = await this.#access.renew(tokens.accessToken)
    return { accessToken, expiresAt }
  }

  isAuthenticated(): boolean {
    return this.#access.tokens !== undefined
  }

  getSessionId(): string | null {
    return this.#access.tokens?.sessionId ?? null
  }

  /** Forgets all tokens, of the other nodes too. Until the next `authenticate`, nothing can be asked. */
  clearAuth(): Promise<void> {
    return this.#access.forget()
  }

  sendHeartbeat(options: T.HeartbeatOptions = {}): Promise<T.HeartbeatResponse> {
    const { status = 'active', metrics, sessionId = this.getSessionId() ?? undefined } = options
    const body = { status, ...(sessionId !== undefined && { sessionId }), ...(metrics && { metrics }) }
    return this.#ask({ call: 'heartbeat', body }, read.readHeartbeat)
  }

  getConfig(): Promise<T.OrchestratorConfig> {
    return this.#ask({ call: 'config' }, read.readConfig)
  }

  getMessages(channelId: string, options: T.GetMessagesOptions = {}): Promise<{ messages: T.Message[] }> {
    return this.#ask({ call: 'messages', query: { channelId, ...options } }, read.readMessages)
  }

  /** Never sent twice by itself: after an error with `mayBeTaken`, look at `getMessages`. */
  sendMessage(
    channelId: string,
    content: string,
    options: T.SendMessageOptions = {},
  ): Promise<{ readonly messageId: string }> {
    return this.#ask({ call: 'send', body: { channelId, content, ...options } }, read.readMessageId)
  }

  updateStatus(
    status: T.OrchestratorStatus,
    options: { readonly message?: string } = {},
  ): Promise<{ readonly success: true }> {
    return this.#ask({ call: 'status', body: { status, ...options } }, read.readSuccess)
  }

  /** Without `since`, those of the last five minutes. */
  async getEvents(since?: Date): Promise<readonly T.NeolithEvent[]> {
    const query = { since: since?.toISOString() }
    return (await this.#ask({ call: 'events', query }, read.readEvents)).events
  }

  async acknowledgeEvents(eventIds: readonly string[]): Promise<void> {
    if (eventIds.length > 0) await this.#ask({ call: 'acknowledge', body: { eventIds } }, read.readSuccess)
  }

  async setPresence(status: T.PresenceStatus, statusText?: string): Promise<void> {
    const body = { status, ...(statusText !== undefined && { statusText }) }
    await this.#ask({ call: 'presence', body }, read.readSuccess)
  }

  async getChannels(): Promise<readonly T.NeolithChannel[]> {
    return (await this.#ask({ call: 'channels' }, read.readChannels)).channels
  }

  async joinChannel(channelId: string): Promise<void> {
    await this.#ask({ call: 'join', parameters: { channelId } }, read.readSuccess)
  }

  async leaveChannel(channelId: string): Promise<void> {
    await this.#ask({ call: 'leave', parameters: { channelId } }, read.readSuccess)
  }

  /** What Neolith knows of this service. */
  async getDaemon(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#ask({ call: 'daemon' }, read.readData)).data
  }

  async register(registration: T.Registration): Promise<Readonly<Record<string, unknown>>> {
    const body = { ...registration, apiKey: this.#apiKey }
    return (await this.#ask({ call: 'register', body }, read.readData)).data
  }

  /** Neolith then refuses the next sign-in until somebody there says otherwise. */
  async unregister(): Promise<void> {
    await this.#ask({ call: 'unregister' }, read.readSuccess)
  }

  async listSessions(): Promise<readonly T.NeolithSession[]> {
    return (await this.#ask({ call: 'sessions' }, read.readSessions)).sessions
  }

  async createSession(session: {
    readonly orchestratorId: string
    readonly type: 'daemon' | 'user' | 'system'
    readonly metadata?: Readonly<Record<string, unknown>>
    readonly timeoutSeconds?: number
  }): Promise<T.NeolithSession> {
    return (await this.#ask({ call: 'createSession', body: session }, read.readSession)).session
  }

  async updateSession(update: T.SessionUpdate): Promise<T.NeolithSession> {
    return (await this.#ask({ call: 'updateSession', body: update }, read.readSession)).session
  }

  async endSession(sessionId: string): Promise<void> {
    await this.#ask({ call: 'endSession', query: { sessionId } }, read.readSuccess)
  }

  /** @throws NeolithError */
  async #ask<A>(request: NeolithRequest, reader: Reader<A>): Promise<A> {
    if (!CALLS[request.call].signed) return this.#transport.send(request, reader)
    const { accessToken } = await this.#access.token()
    try {
      return await this.#transport.send(request, reader, accessToken)
    } catch (error) {
      if (!(error instanceof NeolithError) || error.status !== 401) throw error
    }
    // Refused before anything was done, so any call may go again.
    const fresh = await this.#access.renew(accessToken)
    return this.#transport.send(request, reader, fresh.accessToken)
  }
}
