/**
 * Tokens: JWT signed with HS256. Reading one is synchronous (docs/decisions/0011-tokens-are-checked-at-once.md); jose
 * reads headers and signs the tokens that we issue.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { decodeProtectedHeader, SignJWT } from 'jose'
import { tenantSchema } from '../protocol/ids.js'
import { CLIENT_ROLES, type ClientRole } from '../protocol/permissions.js'

/** A subject becomes part of keys and rows. */
const MAX_SUBJECT_CHARS = 256
/** Control characters and halves of characters: no store keeps them as they are. */
const UNFIT_FOR_STORES = /[\p{Cc}\p{Cs}]/u
/** More names than there are verbs tell nothing. */
const MAX_SCOPES = 64

/** What is wrong with a token, as the 401 body names it. */
export type TokenFault =
  | 'jwt_malformed'
  | 'jwt_header_invalid'
  | 'jwt_algorithm_unsupported'
  | 'jwt_signature_invalid'
  | 'jwt_payload_invalid'
  | 'jwt_payload_schema_invalid'
  | 'jwt_expired'
  | 'jwt_issuer_mismatch'
  | 'jwt_audience_mismatch'

export interface TokenHolder {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  readonly scopes: readonly string[] | undefined
}

export interface Claims extends TokenHolder {
  readonly issuer: string
  readonly audience: readonly string[]
  /** ms since 1970. */
  readonly expiresAt: number
}

export interface TokenRules {
  readonly issuer: string
  readonly audience: string
}

/** The claims of a good token, or what is wrong with it. Without a key no token is good. */
export function readToken(token: string, key: Uint8Array | undefined, rules: TokenRules): Claims | TokenFault {
  const malformed = headerFault(token)
  if (malformed) return malformed
  if (!key || !isSigned(token, key)) return 'jwt_signature_invalid'
  const payload = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
  if (!payload) return 'jwt_payload_invalid'
  const claims = readClaims(payload, rules)
  if (!claims) return 'jwt_payload_schema_invalid'
  if (claims.expiresAt <= Date.now()) return 'jwt_expired'
  if (claims.issuer !== rules.issuer) return 'jwt_issuer_mismatch'
  if (!claims.audience.includes(rules.audience)) return 'jwt_audience_mismatch'
  return claims
}

/** Signs a token for `holder`; `expiresAt` in ms since 1970, on a full second. */
export async function signToken(
  { tenant, subject, role, scopes }: TokenHolder,
  key: Uint8Array,
  rules: TokenRules & { readonly lifetimeMs: number },
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  const issuedAt = Math.floor(Date.now() / 1000)
  const expiresAt = issuedAt + Math.floor(rules.lifetimeMs / 1000)
  const token = await new SignJWT({ claims: { tenant, role }, ...(scopes && { scopes }) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(subject)
    .setIssuer(rules.issuer)
    .setAudience(rules.audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(key)
  return { token, expiresAt: expiresAt * 1000 }
}

function headerFault(token: string): TokenFault | undefined {
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
    return isObject(value) ? value : undefined
  } catch {
    // Signed, but not JSON: the caller names that.
    return undefined
  }
}

/** The claims that every token must carry, or undefined when one is missing or of another type. */
function readClaims(payload: Record<string, unknown>, rules: TokenRules): Claims | undefined {
  const { sub, iss, aud, iat, exp, claims = {}, scopes } = fromNeolith(payload, rules) ?? payload
  const audience = typeof aud === 'string' ? [aud] : aud
  if (typeof sub !== 'string' || !isSubject(sub)) return undefined
  if (typeof iss !== 'string' || !isTexts(audience)) return undefined
  if (!Number.isFinite(iat) || !Number.isFinite(exp)) return undefined
  if (scopes !== undefined && (!isTexts(scopes) || scopes.length > MAX_SCOPES)) return undefined
  if (!isObject(claims)) return undefined
  const tenant = tenantSchema.safeParse(claims.tenant ?? sub)
  // A role that we do not know may be a smaller one than `user`: nobody gets in on a guess.
  const role = CLIENT_ROLES.find((known) => known === (claims.role ?? 'user'))
  if (!tenant.success || !role) return undefined
  return { tenant: tenant.data, subject: sub, role, scopes, issuer: iss, audience, expiresAt: Number(exp) * 1000 }
}

/**
 * A Neolith access token names its orchestrator, and nothing else of what ours do; whoever can sign with the secret may say
 * so. Its scopes are about Neolith, and grant nothing here and take nothing. Undefined for any other token.
 */
function fromNeolith(payload: Record<string, unknown>, { issuer, audience }: TokenRules) {
  const { orchestratorId, daemonId, type, iat, exp } = payload
  const isOurs = ['sub', 'iss', 'aud', 'claims'].some((name) => name in payload)
  if (isOurs || type !== 'access' || typeof daemonId !== 'string') return undefined
  return { sub: orchestratorId, iss: issuer, aud: audience, iat, exp, claims: {}, scopes: undefined }
}

const isSubject = (text: string): boolean =>
  text !== '' && text.length <= MAX_SUBJECT_CHARS && !UNFIT_FOR_STORES.test(text)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string')
