/**
 * Errors as application/problem+json (RFC 9457), from the one table of errors.
 */
import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode, ServiceError } from '../../protocol/errors.js'
import type { ErrorReply } from '../../protocol/replies.js'
import type { Answer, Header } from './answer.js'

const PROBLEM_TYPE = 'application/problem+json'
const MS_PER_SECOND = 1_000

export function problem(reply: Omit<ErrorReply, 'type'>, headers: readonly Header[] = []): Answer {
  const { code, error, retryable, retryAfterMs, sessionId, commandId } = reply
  const status = statusOf(code)
  const body = {
    ...{ type: `/api/docs#${code}`, title: titleOf(code), status, detail: error, code, retryable, error },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(sessionId !== undefined && { sessionId }),
    ...(commandId !== undefined && { commandId }),
  }
  return {
    ...{ status, type: PROBLEM_TYPE, body: JSON.stringify(body) },
    headers: [...headers, ...retryHeader(retryAfterMs), ...(status === 401 ? [AUTHENTICATE] : [])],
  }
}

const AUTHENTICATE: Header = ['www-authenticate', 'Bearer']

const retryHeader = (retryAfterMs: number | undefined): readonly Header[] =>
  retryAfterMs === undefined ? [] : [['retry-after', String(Math.ceil(retryAfterMs / MS_PER_SECOND))]]

/** A code that is not in the table comes from a newer worker, and is nothing that the client has done wrong. */
const statusOf = (code: string): number => (isCode(code) ? ERRORS[code].http : ERRORS.internal.http)
const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

/** The same for every error of a code; what happened this time is the detail. */
export function titleOf(code: string): string {
  const words = code.replaceAll('_', ' ')
  return words === '' ? (STATUS_CODES[500] ?? '') : `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

export const invalid = (reason: string): ServiceError => new ServiceError('invalid_payload', { reason })
