/**
 * What went wrong at a vendor, sorted: from the SDKs' errors and raw stream failures to `ModelError`.
 */
import { AnthropicError } from '@anthropic-ai/sdk'
import { OpenAIError } from 'openai'
import { hiding, redactText } from '../telemetry/redact.js'
import { ModelError, type ModelErrorKind } from './model.js'
import { StreamBroken } from './stream-guard.js'

/** The vendors' own words for a failure, where a status alone does not tell. */
const QUOTA_WORDS = new Set(['insufficient_quota', 'billing_error', 'billing_hard_limit_reached'])
const KIND_OF_WORD: Readonly<Record<string, ModelErrorKind>> = {
  authentication_error: 'auth',
  permission_error: 'auth',
  invalid_api_key: 'auth',
  rate_limit_error: 'rate_limit',
  rate_limit_exceeded: 'rate_limit',
  invalid_request_error: 'invalid_request',
  not_found_error: 'invalid_request',
  request_too_large: 'invalid_request',
  context_length_exceeded: 'invalid_request',
  overloaded_error: 'server',
  api_error: 'server',
  server_error: 'server',
  timeout_error: 'server',
}
const RETRYABLE: ReadonlySet<ModelErrorKind> = new Set(['rate_limit', 'network', 'server', 'cut'])
/** A vendor that asks for more is as good as down; the retry policy gives up long before. */
const MAX_RETRY_AFTER_MS = 24 * 3600 * 1000
const MAX_REASON_CHARS = 500

/**
 * Sorts a failed call that was made with this key, which vendors and proxies like to repeat. What is no vendor failure (a bug
 * of ours, a refusal to start effects) is thrown as it came.
 */
export function modelErrorOf(thrown: unknown, key?: string): ModelError {
  if (thrown instanceof ModelError) return thrown
  if (thrown instanceof OpenAIError || thrown instanceof AnthropicError) return vendorError(thrown, key)
  if (!isBrokenStream(thrown)) throw thrown
  return new ModelError('network', reasonOf(thrown, key), true, { cause: thrown })
}

/** The failure of a stream that has already shown something. */
export const asCut = (error: ModelError): ModelError =>
  error.kind === 'cut' ? error : new ModelError('cut', `the answer was cut: ${error.message}`, true, { cause: error })

/** Fields that the errors of both SDKs have, where they have them. */
interface VendorFields {
  readonly status?: number | undefined
  readonly code?: string | null | undefined
  readonly type?: string | null | undefined
  readonly headers?: Headers | undefined
}

function vendorError(error: Error & VendorFields, key: string | undefined): ModelError {
  const kind = kindOf(error)
  const retryAfterMs = retryAfterOf(error.headers)
  return new ModelError(kind, kind === 'auth' ? refusedKey(error.status) : reasonOf(error, key), RETRYABLE.has(kind), {
    cause: error,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

function kindOf(error: Error & VendorFields): ModelErrorKind {
  const words = [error.code, error.type].filter((word) => typeof word === 'string')
  if (words.some((word) => QUOTA_WORDS.has(word)) || /credit balance is too low/i.test(error.message)) return 'quota'
  if (error.status !== undefined) return kindOfStatus(error.status)
  const known = words.map((word) => KIND_OF_WORD[word]).find((kind) => kind !== undefined)
  return known ?? 'network'
}

function kindOfStatus(status: number): ModelErrorKind {
  if (status === 401 || status === 403) return 'auth'
  if (status === 402) return 'quota'
  if (status === 429) return 'rate_limit'
  // 408 and 409 are the vendors' "again, please": a request that waited too long, a lock held elsewhere.
  if (status === 408 || status === 409 || status >= 500) return 'server'
  return 'invalid_request'
}

// The vendor's own sentence repeats parts of the key; clients of a shared daemon must not see them.
const refusedKey = (status: number | undefined): string =>
  `the vendor refused the configured API key${status === undefined ? '' : ` (HTTP ${status})`}`

function retryAfterOf(headers: Headers | undefined): number | undefined {
  const inMs = Number(headers?.get('retry-after-ms') ?? Number.NaN)
  if (Number.isFinite(inMs)) return clampWait(inMs)
  const text = headers?.get('retry-after') ?? undefined
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return clampWait(seconds * 1000)
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : clampWait(at - Date.now())
}

const clampWait = (ms: number): number => Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS)

/** A cut connection reaches us as undici's `TypeError: terminated`, half a line as `SyntaxError`. */
function isBrokenStream(thrown: unknown): thrown is Error {
  if (thrown instanceof StreamBroken || thrown instanceof SyntaxError) return true
  return thrown instanceof TypeError && (thrown.message === 'terminated' || thrown.message === 'fetch failed')
}

function reasonOf(error: Error, key: string | undefined): string {
  const cause = error.cause instanceof Error && error.cause.message ? ` (${error.cause.message})` : ''
  return redactText(hiding(key ? [key] : [])(`${error.message}${cause}`)).slice(0, MAX_REASON_CHARS)
}
