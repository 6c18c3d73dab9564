/**
 * What goes wrong between this service and Neolith, as one error: whoever catches it sees whether Neolith may have done what
 * it was asked for, and whether asking again can help. No secret is in it, and no answer as a whole.
 */
import { REDACTED, redactText } from '../telemetry/redact.js'
import type { CallName } from './calls.js'

/** A sentence; whatever else a server calls an error is of no use to a reader. */
const MAX_TEXT_CHARS = 300
const MAX_CODE_CHARS = 64

/** Codes of our own, besides those that Neolith answers with. */
export const OWN_CODES = {
  timeout: 'TIMEOUT',
  unreachable: 'UNREACHABLE',
  connectionLost: 'CONNECTION_LOST',
  invalidAnswer: 'INVALID_ANSWER',
  redirect: 'REDIRECT',
  circuitOpen: 'CIRCUIT_OPEN',
  rateLimited: 'RATE_LIMITED',
  notAuthenticated: 'NOT_AUTHENTICATED',
  stopped: 'STOPPED',
} as const

export interface NeolithErrorDetails {
  readonly call?: CallName
  /** Of the HTTP answer, where there was one. */
  readonly status?: number
  /** Whether Neolith may have done what it was asked for. */
  readonly mayBeTaken: boolean
  /** Whether the same may come through later. */
  readonly retryable: boolean
  readonly retryAfterMs?: number
}

export class NeolithError extends Error {
  readonly call: CallName | undefined
  readonly status: number | undefined
  readonly mayBeTaken: boolean
  readonly retryable: boolean
  readonly retryAfterMs: number | undefined

  constructor(
    /** Neolith's, such as `CHANNEL_ACCESS_DENIED`, or one of `OWN_CODES`. */
    readonly code: string,
    message: string,
    { call, status, mayBeTaken, retryable, retryAfterMs }: NeolithErrorDetails,
  ) {
    super(message)
    this.name = 'NeolithError'
    this.call = call
    this.status = status
    this.mayBeTaken = mayBeTaken
    this.retryable = retryable
    this.retryAfterMs = retryAfterMs
  }
}

/** In the words of the reference's client, which programs look for. */
export const requestFailed = (error: string, code: string): string => `API request failed: ${error} (${code})`

/** Takes secrets out of what a server said, and bounds it: servers repeat what they were sent. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const hidden = secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, REDACTED)), text)
  return redactText(hidden).slice(0, MAX_TEXT_CHARS)
}

/** The error of an answer in either of the shapes that Neolith has for one; undefined for anything else. */
export function errorOf(body: unknown): { readonly error: string; readonly code: string } | undefined {
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined
  const { error } = body
  const [text, code] =
    typeof error === 'object' && error !== null
      ? [field(error, 'message'), field(error, 'code')]
      : [error, field(body, 'code')]
  if (typeof text !== 'string') return undefined
  return { error: text, code: typeof code === 'string' ? code.slice(0, MAX_CODE_CHARS) : 'UNKNOWN' }
}

const field = (object: object, name: string): unknown => (object as Record<string, unknown>)[name]
