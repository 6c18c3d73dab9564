/**
 * Who is knocking: a token or an API key at the upgrade. Everything that is not a valid credential is refused; there is
 * no mode in which a broken configuration lets people in.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { ServiceError } from '../protocol/errors.js'
import type { ClientRole } from '../protocol/permissions.js'
import { ApiKeys, type KeyHolder } from './api-keys.js'
import type { NetworkPath } from './client-address.js'
import type { EdgeLog } from './dependencies.js'
import { isLocalRequest, type RequestOrigin } from './loopback.js'
import { RemoteKeys } from './remote-keys.js'
import type { AuthSettings } from './settings.js'
import { FOREIGN, readToken, type Secret, signToken, type TokenFault, type TokenSources } from './token.js'

export interface Principal {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  /** Undefined: all that the role may do. */
  readonly scopes?: readonly string[] | undefined
  /** ms since 1970; undefined when the right does not end by itself: an API key, or this machine. */
  readonly expiresAt: number | undefined
  /** Which secret of ours has signed their token, or that another issuer has. */
  readonly signedBy?: string | undefined
  /** How they showed who they are; undefined for a client inside the process. */
  readonly method?: 'jwt' | 'api-key' | 'loopback'
  /** Where it came from, as far as is known; '' or undefined when nobody can tell. */
  readonly address?: string | undefined
  /** True for the user of this machine where nobody else may come: there is nobody to protect from them. */
  readonly unlimited?: true
  /** True for somebody who will say later who they are: nothing is done for them until then. */
  readonly isGuest?: true
}

/** Why a credential was refused: the `error` of the 401 body. */
export type RefusalReason = 'credentials_missing' | 'api_key_invalid' | TokenFault

export type Verdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: RefusalReason }

export interface Credentials extends RequestOrigin, NetworkPath {
  readonly authorization: string
  readonly apiKeyHeader: string
  /** Decoded query parameters, '' when absent. */
  readonly tokenParameter: string
  readonly apiKeyParameter: string
}

/** Whoever sits at this machine, where that is enough. */
const LOCAL: Principal = { tenant: 'local', subject: 'local', role: 'admin', expiresAt: undefined, method: 'loopback' }

/** Of ids of secrets, which never leave this process: enough to tell a handful from each other. */
const ID_CHARS = 12

/** How long a token is good, and who says so. */
export interface Right {
  readonly expiresAt: number
  readonly signedBy: string
}

type Trace = Pick<EdgeLog, 'info' | 'warn'>
const SILENT: Trace = { info: () => undefined, warn: () => undefined }

export class Authenticator {
  readonly #trace: Trace
  #settings: AuthSettings
  #sources: TokenSources
  #apiKeys: ApiKeys
  #remoteKeys: RemoteKeys | undefined

  constructor(settings: AuthSettings, trace: Trace = SILENT) {
    this.#trace = trace
    this.#settings = settings
    this.#apiKeys = new ApiKeys(settings.apiKeys)
    this.#remoteKeys = settings.remote && new RemoteKeys(settings.remote, trace)
    this.#sources = sourcesOf(settings, this.#remoteKeys)
  }

  /** Resolves when the keys of another issuer have come, or have not in some seconds. Never rejects. */
  async start(): Promise<void> {
    await this.#remoteKeys?.start()
  }

  stop(): void {
    this.#remoteKeys?.stop()
  }

  /** Judges by these settings from now on. @throws Error when there is something wrong with them, which changes nothing */
  async renew(settings: AuthSettings): Promise<void> {
    const apiKeys = new ApiKeys(settings.apiKeys)
    const isSame = isDeepStrictEqual(settings.remote, this.#settings.remote)
    const remoteKeys = isSame ? this.#remoteKeys : settings.remote && new RemoteKeys(settings.remote, this.#trace)
    const sources = sourcesOf(settings, remoteKeys)
    if (!isSame) {
      // Those known so far count until the others are here.
      await remoteKeys?.start()
      this.#remoteKeys?.stop()
    }
    this.#remoteKeys = remoteKeys
    this.#settings = settings
    this.#apiKeys = apiKeys
    this.#sources = sources
  }

  /** True when only this machine may connect. */
  get localOnly(): boolean {
    return this.#sources.secrets.length === 0 && !this.#sources.remote && this.#apiKeys.size === 0
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

  /** Whether what a client came with would still be taken: its API key, or the secret that has signed its token. */
  stillHolds(principal: Principal): boolean {
    const { method, signedBy } = principal
    if (method === 'jwt') {
      return signedBy === FOREIGN
        ? this.#sources.remote !== undefined
        : this.#sources.secrets.some(({ id }) => id === signedBy)
    }
    if (method !== 'api-key') return true
    const wanted = grantOf(principal)
    return this.#apiKeys.holders().some((each) => grantOf(principalOf(each)) === wanted)
  }

  /**
   * Signs a token for the same principal.
   * @throws ServiceError `unavailable` when the client came without a token of ours, or there is no secret to sign with.
   */
  async issueToken(
    principal: Principal,
    lifetimeMs = this.#settings.tokenLifetimeMs,
  ): Promise<Right & { readonly token: string }> {
    // A token would outlive the key that it was made from, and take the trust in this machine elsewhere.
    if (principal.expiresAt === undefined) throw unavailable(NO_TOKEN)
    if (principal.signedBy === FOREIGN) throw unavailable(FOREIGN_TOKEN)
    const [secret] = this.#sources.secrets
    if (!secret) throw unavailable('no token secret is configured')
    const { tenant, subject, role, scopes } = principal
    const signed = await signToken({ tenant, subject, role, scopes }, secret.key, { ...this.#settings, lifetimeMs })
    return { ...signed, signedBy: secret.id }
  }

  /**
   * The right of a client that brings a new token for itself.
   * @throws ServiceError when the token is not good, or not for the same: then it is another client, which comes anew.
   */
  extend(principal: Principal, token: string): Right {
    if (principal.expiresAt === undefined) throw unavailable(NO_TOKEN)
    const verdict = this.verify({ token })
    if (!verdict.ok) throw new ServiceError(verdict.reason)
    const { expiresAt, signedBy } = verdict.principal
    if (expiresAt === undefined || signedBy === undefined || grantOf(verdict.principal) !== grantOf(principal)) {
      throw new ServiceError('forbidden', { action: 'become somebody else, or somebody with other rights' })
    }
    return { expiresAt, signedBy }
  }

  #judgeToken(token: string): Verdict {
    const claims = readToken(token, this.#sources)
    if (typeof claims === 'string') return refused(claims)
    const { tenant, subject, role, scopes, expiresAt, signedBy } = claims
    return granted({ tenant, subject, role, scopes, expiresAt, signedBy, method: 'jwt' })
  }

  #judgeKey(apiKey: string): Verdict {
    const holder = this.#apiKeys.find(apiKey)
    if (!holder) return refused('api_key_invalid')
    return granted(principalOf(holder))
  }
}

function sourcesOf(settings: AuthSettings, keys: RemoteKeys | undefined): TokenSources {
  const { secret, previousSecrets = [], remote, issuer, audience } = settings
  const secrets = secret === undefined ? [] : [secret, ...previousSecrets]
  // An empty secret would verify tokens that anybody can sign.
  if (secrets.includes('')) throw new Error('the token secret is empty: set it, or leave it out for local use')
  return {
    secrets: secrets.map(secretOf),
    own: { issuer, audience },
    ...(remote && keys && { remote: { ...remote, keys } }),
  }
}

const secretOf = (text: string): Secret => ({
  id: createHash('sha256').update(`id of ${text}`).digest('base64url').slice(0, ID_CHARS),
  key: new TextEncoder().encode(text),
})

const principalOf = ({ clientId, role, scopes }: KeyHolder): Principal => ({
  ...{ tenant: clientId, subject: clientId, role, scopes, expiresAt: undefined, method: 'api-key' },
})

const FOREIGN_TOKEN = 'the token is of another issuer: send a new one of it in `auth.token`'
const NO_TOKEN = 'this connection came without a token, so there is none to renew'
const unavailable = (reason: string): ServiceError => new ServiceError('unavailable', { reason })

const grantOf = ({ tenant, subject, role, scopes }: Principal): string =>
  JSON.stringify([tenant, subject, role, scopes ?? null])

const granted = (principal: Principal): Verdict => ({ ok: true, principal })
const refused = (reason: RefusalReason): Verdict => ({ ok: false, reason })
const isUnnamed = (verdict: Verdict): boolean => !verdict.ok && verdict.reason === 'credentials_missing'

function bearerToken(header: string): string {
  const match = /^Bearer\s+(.+)$/i.exec(header)
  return match?.[1]?.trim() ?? ''
}
