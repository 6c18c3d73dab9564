/**
 * What stands in a request before its body, and how what it says is checked.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { parseJson } from '../../protocol/json.js'
import type { Credentials } from '../auth.js'
import { credentialsOf } from '../credentials.js'
import { invalid } from './problems.js'

const KEY = /^[\x21-\x7e]{1,128}$/

export interface Head {
  readonly method: string
  readonly query: Readonly<Record<string, string>>
  readonly params: Readonly<Record<string, string>>
  readonly credentials: Credentials
  readonly idempotencyKey: string
  readonly lastEventId: string
  readonly knownTag: string
  readonly traceparent: string
}

/** Read at once: a request is gone when its handler has returned. */
export function headOf(res: HttpResponse, req: HttpRequest, params: Head['params']): Head {
  const { token: _token, apiKey: _apiKey, ...query } = Object.fromEntries(new URLSearchParams(req.getQuery() ?? ''))
  return {
    method: req.getMethod().toUpperCase(),
    ...{ query, params },
    credentials: credentialsOf(res, req),
    idempotencyKey: req.getHeader('idempotency-key'),
    lastEventId: req.getHeader('last-event-id'),
    knownTag: req.getHeader('if-none-match'),
    traceparent: req.getHeader('traceparent'),
  }
}

/** No store can look for it. @throws ServiceError `invalid_payload` */
export function refuseNul(...texts: readonly Readonly<Record<string, string>>[]): void {
  for (const [name, value] of texts.flatMap((each) => Object.entries(each))) {
    if (value.includes('\0')) throw invalid(`${name}: holds the character U+0000`)
  }
}

/** The draft of the standard puts it into quotes. */
export function keyOf({ idempotencyKey }: Head): string | undefined {
  if (idempotencyKey === '') return undefined
  const key = idempotencyKey.replace(/^"(.*)"$/, '$1')
  if (!KEY.test(key)) throw invalid('Idempotency-Key: 1 to 128 printable characters without spaces')
  return key
}

export function parsed(body: Buffer | undefined): unknown {
  if (body === undefined || body.byteLength === 0) return {}
  return parseJson(body.toString('utf8'))
}

export function checked<T>(
  schema: {
    safeParse(value: unknown):
      | { readonly success: true; readonly data: T }
      | {
          readonly success: false
          readonly error: {
            readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
          }
        }
  },
  value: unknown,
): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalid(issue ? `${issue.path.map(String).join('.') || 'request'}: ${issue.message}` : 'unexpected shape')
}
