/**
 * Which pages of other origins may read HTTP answers of the client port. WebSockets are not subject to it: browsers let
 * every page open one, and credentials decide there.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'

type Header = readonly [name: string, value: string]

/** How long a browser remembers the answer to a preflight, in seconds; the longest that all of them accept. */
const MAX_AGE_SECONDS = 7_200

const ALLOWED_HEADERS =
  'authorization, content-type, x-api-key, idempotency-key, last-event-id, if-none-match, traceparent'
/** What a page may read of an answer's headers, beside the few that every page may. */
export const EXPOSED: Header = [
  'access-control-expose-headers',
  'location, retry-after, etag, allow, idempotency-replayed',
]

/** Headers for an answer to a page of `origin`, which is empty outside browsers; none that let in who is not `allowed`. */
export function corsHeaders(origin: string, allowed: readonly string[]): readonly Header[] {
  if (origin === '' || allowed.length === 0) return []
  if (allowed.includes('*')) return [['access-control-allow-origin', '*']]
  const vary: Header = ['vary', 'Origin']
  return allowed.includes(origin.toLowerCase()) ? [['access-control-allow-origin', origin], vary] : [vary]
}

/** Answers a browser that asks before it asks. Returns false when the request is something else. */
export function answerPreflight(res: HttpResponse, req: HttpRequest, allowed: readonly string[]): boolean {
  if (req.getMethod() !== 'options' || req.getHeader('access-control-request-method') === '') return false
  res.writeStatus('204 No Content')
  for (const [name, value] of corsHeaders(req.getHeader('origin'), allowed)) res.writeHeader(name, value)
  res
    .writeHeader('access-control-allow-methods', 'GET, HEAD, POST, PUT, DELETE, OPTIONS')
    .writeHeader('access-control-allow-headers', ALLOWED_HEADERS)
    .writeHeader('access-control-max-age', String(MAX_AGE_SECONDS))
    .endWithoutBody()
  return true
}
