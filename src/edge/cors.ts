/**
 * Which pages of other origins may read HTTP answers of the client port. WebSockets are not subject to it: browsers let
 * every page open one, and credentials decide there.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { type CorsHeader, corsHeaders, PREFLIGHT_MAX_AGE_SECONDS } from '../protocol/cors.js'

const ALLOWED_HEADERS =
  'authorization, content-type, x-api-key, idempotency-key, last-event-id, if-none-match, traceparent'
/** What a page may read of an answer's headers, beside the few that every page may. */
export const EXPOSED: CorsHeader = [
  'access-control-expose-headers',
  'location, retry-after, etag, allow, idempotency-replayed',
]

/** Answers a browser that asks before it asks. Returns false when the request is something else. */
export function answerPreflight(res: HttpResponse, req: HttpRequest, allowed: readonly string[]): boolean {
  if (req.getMethod() !== 'options' || req.getHeader('access-control-request-method') === '') return false
  res.writeStatus('204 No Content')
  for (const [name, value] of corsHeaders(req.getHeader('origin'), allowed)) res.writeHeader(name, value)
  res
    .writeHeader('access-control-allow-methods', 'GET, HEAD, POST, PUT, DELETE, OPTIONS')
    .writeHeader('access-control-allow-headers', ALLOWED_HEADERS)
    .writeHeader('access-control-max-age', String(PREFLIGHT_MAX_AGE_SECONDS))
    .endWithoutBody()
  return true
}
