/**
 * Keeps an access token at hand: replaces it before it ends or when Neolith refuses it, signs in anew when the refresh token
 * is no good either.
 */
import { readAuth, readRefresh } from './answers.js'
import { NeolithError, OWN_CODES } from './neolith-error.js'
import type { TokenStore, Tokens } from './tokens.js'
import type { Transport } from './transport.js'
import type { AuthResponse } from './types.js'

export interface AccessOptions {
  readonly apiKey: string
  readonly apiSecret: string
  /** How long before its end a token is replaced. */
  readonly bufferMs: number
  readonly transport: Transport
  readonly store: TokenStore
}

export class Access {
  readonly #options: AccessOptions
  /** As this process knows them: the store is asked only for new ones. */
  #tokens: Tokens | undefined
  /** Of the last sign-in here; undefined before, and nobody else signs in by itself then. */
  #scopes: readonly string[] | undefined
  #renewal: Promise<Tokens> | undefined

  constructor(options: AccessOptions) {
    this.#options = options
  }

  get tokens(): Tokens | undefined {
    return this.#tokens
  }

  /** Signs in with the key, whatever tokens there are. @throws NeolithError */
  async signIn(scopes: readonly string[]): Promise<AuthResponse> {
    this.#scopes = scopes
    const answer = await this.#authenticate(scopes)
    this.#tokens = tokensOf(answer, scopes)
    await this.#options.store.write(this.#tokens)
    return answer
  }

  /** Uses the tokens that a node of this cluster has, or signs in. @throws NeolithError */
  async join(scopes: readonly string[]): Promise<Tokens> {
    this.#scopes = scopes
    this.#tokens = await this.#options.store.read()
    return this.token()
  }

  /** Tokens that should be good. @throws NeolithError */
  async token(): Promise<Tokens> {
    const known = this.#tokens
    if (known && !this.#endsSoon(known)) return known
    return this.renew(known?.accessToken)
  }

  /** Other tokens than these, which are no good or end soon. Calls at one time are one. @throws NeolithError */
  async renew(stale: string | undefined): Promise<Tokens> {
    // Somebody was faster since the caller took its token.
    if (this.#tokens && this.#tokens.accessToken !== stale) return this.#tokens
    this.#renewal ??= this.#options.store
      .renew(stale, (known) => this.#issue(known))
      .then((tokens) => {
        this.#tokens = tokens
        return tokens
      })
      .finally(() => {
        this.#renewal = undefined
      })
    return this.#renewal
  }

  async forget(): Promise<void> {
    this.#tokens = undefined
    this.#scopes = undefined
    await this.#options.store.clear()
  }

  async #issue(known: Tokens | undefined): Promise<Tokens> {
    const old = known ?? this.#tokens
    try {
      if (old) return await this.#refresh(old)
    } catch (error) {
      // Expired or revoked. Everything else is no reason to give the key away again.
      if (!(error instanceof NeolithError) || (error.status !== 401 && error.status !== 400)) throw error
    }
    const scopes = this.#scopes ?? old?.scopes
    if (!scopes) throw notAuthenticated()
    return tokensOf(await this.#authenticate(scopes), scopes)
  }

  async #refresh(old: Tokens): Promise<Tokens> {
    const { refreshToken } = old
    const request = { call: 'refresh', body: { refreshToken }, hidden: [refreshToken] } as const
    const { accessToken, expiresAt } = await this.#options.transport.send(request, readRefresh)
    return { ...old, accessToken, expiresAt }
  }

  #authenticate(scopes: readonly string[]): Promise<AuthResponse> {
    const { apiKey, apiSecret, transport } = this.#options
    return transport.send({ call: 'auth', body: { apiKey, apiSecret, scopes } }, readAuth)
  }

  #endsSoon({ expiresAt }: Tokens): boolean {
    const { transport, bufferMs } = this.#options
    return Date.parse(expiresAt) - transport.serverNow() <= bufferMs
  }
}

export const notAuthenticated = (): NeolithError =>
  new NeolithError(OWN_CODES.notAuthenticated, 'Not authenticated. Please call authenticate() first.', {
    mayBeTaken: false,
    retryable: false,
  })

function tokensOf(answer: AuthResponse, scopes: readonly string[]): Tokens {
  const { accessToken, refreshToken, expiresAt, sessionId, orchestrator } = answer
  return {
    ...{ accessToken, refreshToken, expiresAt, sessionId, scopes },
    ...{ orchestratorId: orchestrator.id, userId: orchestrator.user.id },
  }
}
