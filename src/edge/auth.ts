/**
 * Who is knocking: JWT (HS256) at the upgrade. Everything that is not a valid credential is refused; there is no mode in
 * which a broken configuration lets people in.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { decodeProtectedHeader, SignJWT } from 'jose'
import { ServiceError } from '../protocol/errors.js'
import { tenantSchema } from '../protocol/ids.js'
import type { AuthSettings } from './dependencies.js'
import { isLocalRequest, type RequestOrigin } from './loopback.js'

export type ClientRole = 'admin' | 'user' | 'readonly'

export interface Principal {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  /** ms since 1970; undefined for the local principal, whose right does not end. */
  readonly expiresAt: number | undefined
}

/** Why a credential was refused: the `error` of the 401 body. */
export type RefusalReason =
  | 'credentials_missing'
  | 'jwt_malformed'
  | 'jwt_header_invalid'
  | 'jwt_algorithm_unsupported'
  | 'jwt_signature_invalid'
  | 'jwt_payload_invalid'
  | 'jwt_payload_schema_invalid'
  | 'jwt_expired'
  | 'jwt_issuer_mismatch'
  | 'jwt_audience_mismatch'
  | 'api_key_invalid'

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

/** Without a secret, whoever sits at this machine is the one tenant there is. */
const LOCAL: Principal = { tenant: 'local', subject: 'local', role: 'admin', expiresAt: undefined }

const ROLES: ReadonlySet<unknown> = new Set<ClientRole>(['admin', 'user', 'readonly'])

export class Authenticator {
  readonly #settings: AuthSettings
  readonly #key: Uint8Array | undefined

  constructor(settings: AuthSettings) {
    this.#settings = settings
    // An empty secret would verify tokens that anybody can sign.
    if (settings.secret === '') throw new Error('the token secret is empty: set it, or leave it out for local use')
    this.#key = settings.secret === undefined ? undefined : new TextEncoder().encode(settings.secret)
  }

  /** True when only this machine may connect. */
  get localOnly(): boolean {
    return this.#key === undefined
  }

  /**
   * Judges an upgrade. Order of places: Authorization, ?token=, x-api-key, ?apiKey=. Answers at once: see
   * docs/decisions/0011-tokens-are-checked-at-once.md.
   */
  authenticate(credentials: Credentials): Verdict {
    if (!this.#key) return isLocalRequest(credentials) ? { ok: true, principal: LOCAL } : refused('credentials_missing')
    const token = bearerToken(credentials.authorization) || credentials.tokenParameter
    if (token) return this.verify(token)
    if (credentials.apiKeyHeader || credentials.apiKeyParameter) return refused('api_key_invalid')
    return refused('credentials_missing')
  }

  /** Judges one token. */
  verify(token: string): Verdict {
    if (!this.#key) return refused('jwt_signature_invalid')
    const malformed = headerFault(token)
    if (malformed) return refused(malformed)
    if (!isSigned(token, this.#key)) return refused('jwt_signature_invalid')
    return this.#judge(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
  }

  /**
   * Signs a token for the same principal.
   * @throws ServiceError `unavailable` when there is no secret to sign with.
   */
  async issueToken(
    principal: Principal,
    lifetimeMs = this.#settings.tokenLifetimeMs,
  ): Promise<{ token: string; expiresAt: number }> {
    if (!this.#key) throw new ServiceError('unavailable', { reason: 'no token secret is configured' })
    const issuedAt = Math.floor(Date.now() / 1000)
    const expiresAt = issuedAt + Math.floor(lifetimeMs / 1000)
    const token = await new SignJWT({ claims: { tenant: principal.tenant, role: principal.role } })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(principal.subject)
      .setIssuer(this.#settings.issuer)
      .setAudience(this.#settings.audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(this.#key)
    return { token, expiresAt: expiresAt * 1000 }
  }

  #judge(bytes: Uint8Array): Verdict {
    const payload = parseObject(bytes)
    if (!payload) return refused('jwt_payload_invalid')
    const claims = readClaims(payload)
    if (!claims) return refused('jwt_payload_schema_invalid')
    if (claims.expiresAt <= Date.now()) return refused('jwt_expired')
    if (claims.issuer !== this.#settings.issuer) return refused('jwt_issuer_mismatch')
    if (!claims.audience.includes(this.#settings.audience)) return refused('jwt_audience_mismatch')
    const { tenant, subject, role, expiresAt } = claims
    return { ok: true, principal: { tenant, subject, role, expiresAt } }
  }
}

const refused = (reason: RefusalReason): Verdict => ({ ok: false, reason })

function bearerToken(header: string): string {
  const match = /^Bearer\s+(.+)$/i.exec(header)
  return match?.[1]?.trim() ?? ''
}

function headerFault(token: string): RefusalReason | undefined {
  const parts = token.split('.')
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return 'jwt_malformed'
  try {
    const { alg, crit } = decodeProtectedHeader(token)
    // `crit` lists what a verifier must understand (RFC 7515, 4.1.11), and we understand nothing beyond the signature.
    if (crit !== undefined) return 'jwt_header_invalid'
    return alg === 'HS256' ? undefined : 'jwt_algorithm_unsupported'
  } catch {
    // Three parts, but the first is no JSON object.
    return 'jwt_header_invalid'
  }
}

/** HMAC with SHA-256 over the first two parts (RFC 7515, appendix A.1), compared in constant time. */
function isSigned(token: string, key: Uint8Array): boolean {
  const end = token.lastIndexOf('.')
  const expected = createHmac('sha256', key).update(token.slice(0, end)).digest()
  const given = Buffer.from(token.slice(end + 1), 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    // Signed, but not JSON: the caller names that.
    return undefined
  }
}

interface Claims {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  readonly issuer: string
  readonly audience: readonly string[]
  readonly expiresAt: number
}

/** The claims that every token must carry, or undefined when one is missing or of another type. */
function readClaims(payload: Record<string, unknown>): Claims | undefined {
  const { sub, iss, aud, iat, exp, claims } = payload
  const audience = typeof aud === 'string' ? [aud] : aud
  if (typeof sub !== 'string' || sub === '' || typeof iss !== 'string') return undefined
  if (!Array.isArray(audience) || !audience.every((entry) => typeof entry === 'string')) return undefined
  if (!Number.isFinite(iat) || !Number.isFinite(exp)) return undefined
  if (claims !== undefined && (typeof claims !== 'object' || claims === null)) return undefined
  const own = (claims ?? {}) as Record<string, unknown>
  const tenant = tenantSchema.safeParse(own.tenant ?? sub)
  if (!tenant.success) return undefined
  const role = ROLES.has(own.role) ? (own.role as ClientRole) : 'user'
  return { tenant: tenant.data, subject: sub, role, issuer: iss, audience, expiresAt: Number(exp) * 1000 }
}
