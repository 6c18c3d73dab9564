/**
 * Tokens: JWT, signed with a secret of ours (HS256) or by another issuer whose public keys we know. Reading one is
 * synchronous (docs/decisions/0011-tokens-are-checked-at-once.md); jose reads headers and signs the tokens that we issue.
 */
import { decodeProtectedHeader, SignJWT } from 'jose'
import { tenantSchema } from '../protocol/ids.js'
import { CLIENT_ROLES, type ClientRole } from '../protocol/permissions.js'
import type { RemoteKeys } from './remote-keys.js'
import {
  isSignedWithKey,
  isSignedWithSecret,
  PUBLIC_KEY_ALGORITHMS,
  type PublicKeyAlgorithm,
  SECRET_ALGORITHM,
} from './signature.js'

/** A subject becomes part of keys and rows. */
const MAX_SUBJECT_CHARS = 256
/** Control characters and halves of characters: no store keeps them as they are. */
const UNFIT_FOR_STORES = /[\p{Cc}\p{Cs}]/u
/** More names than there are verbs tell nothing. */
const MAX_SCOPES = 64
/** Issuers' clocks differ from ours; the end of a token is taken at its word. */
const NOT_BEFORE_TOLERANCE_MS = 60_000

/** What is wrong with a token, as the 401 body names it. */
export type TokenFault =
  | 'jwt_malformed'
  | 'jwt_header_invalid'
  | 'jwt_algorithm_unsupported'
  | 'jwt_signature_invalid'
  | 'jwt_payload_invalid'
  | 'jwt_payload_schema_invalid'
  | 'jwt_expired'
  | 'jwt_not_yet_valid'
  | 'jwt_issuer_mismatch'
  | 'jwt_audience_mismatch'
  /** Its issuer's keys are being fetched: it may be good. */
  | 'keys_unavailable'

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
  readonly notBefore: number | undefined
}

export interface TokenRules {
  readonly issuer: string
  readonly audience: string
}

/** Of one secret; `id` tells it from others, and nothing else about it. */
export interface Secret {
  readonly id: string
  readonly key: Uint8Array
}

/** What another issuer has signed. */
export const FOREIGN = 'foreign'

/** Whose tokens are good. Each source has algorithms of its own, and names that its tokens must carry. */
export interface TokenSources {
  /** The one that signs, then those from before it: a token of any of them is ours. None: only others issue tokens. */
  readonly secrets: readonly Secret[]
  readonly own: TokenRules
  readonly remote?: TokenRules & {
    readonly algorithms: readonly PublicKeyAlgorithm[]
    readonly keys: Pick<RemoteKeys, 'find'>
  }
}

export type ReadToken = Claims & {
  /** The id of our secret, or `FOREIGN`. */
  readonly signedBy: string
}

/** The claims of a good token, or what is wrong with it. */
export function readToken(token: string, sources: TokenSources): ReadToken | TokenFault {
  const header = readHeader(token)
  if (typeof header === 'string') return header
  const isForeign = header.alg !== SECRET_ALGORITHM
  const rules = isForeign ? sources.remote : sources.own
  if (!rules) return 'jwt_algorithm_unsupported'
  const signer = signerOf(token, header, sources)
  if ('fault' in signer) return signer.fault
  const payload = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
  if (!payload) return 'jwt_payload_invalid'
  // What a key of another issuer has signed may be about anything: it must name us.
  const claims = readClaims((isForeign ? undefined : fromNeolith(payload, rules)) ?? payload)
  if (!claims) return 'jwt_payload_schema_invalid'
  return claimsFault(claims, rules) ?? { ...claims, signedBy: signer.id }
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

interface Header {
  readonly alg: typeof SECRET_ALGORITHM | PublicKeyAlgorithm
  readonly kid: string | undefined
}

function readHeader(token: string): Header | TokenFault {
  const parts = token.split('.')
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) return 'jwt_malformed'
  try {
    const { alg, crit, kid } = decodeProtectedHeader(token)
    // `crit` lists what a verifier must understand (RFC 7515, 4.1.11), and we understand nothing beyond the signature.
    if (crit !== undefined || (kid !== undefined && typeof kid !== 'string')) return 'jwt_header_invalid'
    const known = ([SECRET_ALGORITHM, ...PUBLIC_KEY_ALGORITHMS] as const).find((name) => name === alg)
    return known ? { alg: known, kid } : 'jwt_algorithm_unsupported'
  } catch {
    // Three parts, but the first is no JSON object.
    return 'jwt_header_invalid'
  }
}

type Signer = { readonly id: string } | { readonly fault: TokenFault }

/** The algorithm decides which keys are looked at, and a key is good for its own algorithm only. */
function signerOf(token: string, { alg, kid }: Header, { secrets, remote }: TokenSources): Signer {
  if (alg === SECRET_ALGORITHM) {
    return secrets.find(({ key }) => isSignedWithSecret(token, key)) ?? { fault: 'jwt_signature_invalid' }
  }
  if (!remote?.algorithms.includes(alg)) return { fault: 'jwt_algorithm_unsupported' }
  const key = remote.keys.find(alg, kid)
  if (key === 'loading') return { fault: 'keys_unavailable' }
  const isGood = key !== 'unknown' && isSignedWithKey(token, alg, key)
  return isGood ? { id: FOREIGN } : { fault: 'jwt_signature_invalid' }
}

function claimsFault({ expiresAt, notBefore, issuer, audience }: Claims, rules: TokenRules): TokenFault | undefined {
  const now = Date.now()
  if (expiresAt <= now) return 'jwt_expired'
  if (notBefore !== undefined && notBefore > now + NOT_BEFORE_TOLERANCE_MS) return 'jwt_not_yet_valid'
  if (issuer !== rules.issuer) return 'jwt_issuer_mismatch'
  return audience.includes(rules.audience) ? undefined : 'jwt_audience_mismatch'
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
function readClaims(payload: Record<string, unknown>): Claims | undefined {
  const { sub, iss, aud, iat, exp, nbf, claims = {}, scopes } = payload
  const audience = typeof aud === 'string' ? [aud] : aud
  if (typeof sub !== 'string' || !isSubject(sub)) return undefined
  if (typeof iss !== 'string' || !isTexts(audience)) return undefined
  if (!Number.isFinite(iat) || !Number.isFinite(exp) || (nbf !== undefined && !Number.isFinite(nbf))) return undefined
  if (scopes !== undefined && (!isTexts(scopes) || scopes.length > MAX_SCOPES)) return undefined
  if (!isObject(claims)) return undefined
  const tenant = tenantSchema.safeParse(claims.tenant ?? sub)
  // A role that we do not know may be a smaller one than `user`: nobody gets in on a guess.
  const role = CLIENT_ROLES.find((known) => known === (claims.role ?? 'user'))
  if (!tenant.success || !role) return undefined
  const times = { expiresAt: Number(exp) * 1000, notBefore: nbf === undefined ? undefined : Number(nbf) * 1000 }
  return { tenant: tenant.data, subject: sub, role, scopes, issuer: iss, audience, ...times }
}

/**
 * A Neolith access token names its orchestrator, and nothing else of what ours do; whoever can sign with the secret may say
 * so. Its scopes are about Neolith, and grant nothing here and take nothing. Undefined for any other token.
 */
function fromNeolith(
  payload: Record<string, unknown>,
  { issuer, audience }: TokenRules,
): Record<string, unknown> | undefined {
  const { orchestratorId, daemonId, type, iat, exp } = payload
  const isOurs = ['sub', 'iss', 'aud', 'claims'].some((name) => name in payload)
  if (isOurs || type !== 'access' || typeof daemonId !== 'string') return undefined
  return { sub: orchestratorId, iss: issuer, aud: audience, iat, exp }
}

const isSubject = (text: string): boolean =>
  text !== '' && text.length <= MAX_SUBJECT_CHARS && !UNFIT_FOR_STORES.test(text)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string')
