/**
 * Whether a refusal is one of the table, in the table's words and of a sane size: what a stranger sends must not decide how
 * much is sent back.
 */
import { ERRORS, type ErrorCode } from '../../src/protocol/errors.js'

/** The longest sentence names an id of a client, 128 characters, and what is wrong with a field. */
const MAX_SENTENCE_CHARS = 2_000

interface Refusal {
  readonly error?: unknown
  readonly code?: unknown
  readonly retryable?: unknown
}

/** What is wrong with a refusal; undefined when nothing is. */
export function faultOf({ error, code, retryable }: Refusal): string | undefined {
  if (typeof code !== 'string' || !(code in ERRORS)) return `a refusal with the code ${String(code)} of no table`
  if (code === 'internal') return 'a refusal that is a bug of ours'
  if (retryable !== ERRORS[code as ErrorCode].retryable) return `${code} is retryable: ${String(retryable)}`
  if (typeof error !== 'string') return `${code} without a sentence`
  return error.length > MAX_SENTENCE_CHARS ? `${code} with a sentence of ${error.length} characters` : undefined
}
