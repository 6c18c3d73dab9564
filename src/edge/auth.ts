/**
 * Who is knocking: a token or an API key at the upgrade. Everything that is not a valid credential is refused; there is
 * no mode in which a broken configuration lets people in.
 */
import { ServiceError } from '../protocol/errors.js'
import type { ClientRole } from '../protocol/permissions.js'
import { ApiKeys } from './api-keys.js'
import type { AuthSettings } from './dependencies.js'
import { isLocalRequest, type RequestOrigin } from './loopback.js'
import { readToken, signToken, type TokenFault } from './token.js'

export interface Principal {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  /** Undefined: all that the role may do. */
  readonly scopes?: readonly string[] | undefined
  /** ms since 1970; undefined when the right does not end by itself: an API key, or this machine. */
  readonly expiresAt: number | undefined
  /** How they showed who they are; undefined for a client inside the process. */
  readonly method?: 'jwt' | 'api-key' | 'loopback'
  /** True for the user of this machine where nobody else may come: there is nobody to protect from them. */
  readonly unlimited?: true
}

/** Why a credential was refused: the `error` of the 401 body. */
export type RefusalReason = 'credentials_missing' | 'api_key_invalid' | TokenFault

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: RefusalReason }

export interface Credentials extends RequestOrigin {
  readonly authorization: string
  readonly apiKeyHeader: string
  /** Decoded query parameters, '' when absent. */
  readonly tokenParameter: string
  readonly apiKeyParameter: string
}

/** Whoever sits at this machine, where that is enough. */
const LOCAL: Principal = { tenant: 'local', subject: 'local', role: 'admin', expiresAt: undefined, method: 'loopback' }

export class Authenticator {
  readonly #settings: AuthSettings
  readonly #key: Uint8Array | undefined
  readonly #apiKeys: ApiKeys

  constructor(settings: AuthSettings) {
    this.#settings = settings
    // An empty secret would verify tokens that anybody can sign.
    if (settings.secret === '') throw new Error('the token secret is empty: set it, or leave it out for local use')
    this.#key = settings.secret === undefined ? undefined : new TextEncoder().encode(settings.secret)
    this.#apiKeys = new ApiKeys(settings.apiKeys)
  }

  /** True when only this machine may connect. */
  get localOnly(): boolean {
    return this.#key === undefined && this.#apiKeys.size === 0
  }

  /**
   * Judges a request. Order of places: Authorization, ?token=, x-api-key, ?apiKey=. A credential of a kind that the mode
   * excludes counts as none. A key may stand where a token does: the reference's bridge sends its secret so. Answers at once: see docs/decisions/0011-tokens-are-checked-at-once.md.
   */
  authenticate(credentials: Credentials): Verdict {
    if (this.localOnly) {
      return isLocalRequest(credentials) ? granted({ ...LOCAL, unlimited: true }) : refused('credentials_missing')
    }
    const bearer = bearerToken(credentials.authorization)
    const token = bearer || credentials.tokenParameter
    const isKey = bearer !== '' && this.#apiKeys.find(bearer) !== undefined
    const apiKey = isKey ? bearer : credentials.apiKeyHeader || credentials.apiKeyParameter
    const verdict = this.verify({ token: isKey ? '' : token, apiKey })
    const mayStay = this.#settings.allowLoopback && isUnnamed(verdict) && isLocalRequest(credentials)
    return mayStay ? granted(LOCAL) : verdict
  }

  /** Judges one credential; a token takes precedence over a key. */
  verify({ token, apiKey }: { readonly token?: string | undefined; readonly apiKey?: string | undefined }): Verdict {
    const { mode } = this.#settings
    if (token && mode !== 'api-key') return this.#judgeToken(token)
    if (apiKey && mode !== 'jwt') return this.#judgeKey(apiKey)
    return refused('credentials_missing')
  }

  /**
   * Signs a token for the same principal.
   * @throws ServiceError `unavailable` when the client came without a token, or there is no secret to sign with.
   */
  async issueToken(
    principal: Principal,
    lifetimeMs = this.#settings.tokenLifetimeMs,
  ): Promise<{ token: string; expiresAt: number }> {
    if (!this.#key) throw new ServiceError('unavailable', { reason: 'no token secret is configured' })
    // A token would outlive the key that it was made from, and take the trust in this machine elsewhere.
    if (principal.expiresAt === undefined) {
      throw new ServiceError('unavailable', {
        reason: 'this connection came without a token, so there is none to renew',
      })
    }
    const { tenant, subject, role, scopes } = principal
    return await signToken({ tenant, subject, role, scopes }, this.#key, { ...this.#settings, lifetimeMs })
  }

  #judgeToken(token: string): Verdict {
    const claims = readToken(token, this.#key, this.#settings)
    if (typeof claims === 'string') return refused(claims)
    const { tenant, subject, role, scopes, expiresAt } = claims
    return granted({ tenant, subject, role, scopes, expiresAt, method: 'jwt' })
  }

  #judgeKey(apiKey: string): Verdict {
    const holder = this.#apiKeys.find(apiKey)
    if (!holder) return refused('api_key_invalid')
    const { clientId, role, scopes } = holder
    return granted({ tenant: clientId, subject: clientId, role, scopes, expiresAt: undefined, method: 'api-key' })
  }
}

const granted = (principal: Principal): Verdict => ({ ok: true, principal })
const refused = (reason: RefusalReason): Verdict => ({ ok: false, reason })
const isUnnamed = (verdict: Verdict): boolean => !verdict.ok && verdict.reason === 'credentials_missing'

function bearerToken(header: string): string {
  const match = /^Bearer\s+(.+)$/i.exec(header)
  return match?.[1]?.trim() ?? ''
}
