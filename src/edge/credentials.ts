/**
 * What a request shows of who it comes from, at every door: credentials in their four places, and where it came from.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { Credentials } from './auth.js'

/** A proxy that sets one of them speaks for somebody else. */
export const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip']

/** Read at once: a request is gone when its handler has returned. */
export function credentialsOf(res: HttpResponse, req: HttpRequest): Credentials {
  return {
    authorization: req.getHeader('authorization'),
    apiKeyHeader: req.getHeader('x-api-key'),
    tokenParameter: req.getQuery('token') ?? '',
    apiKeyParameter: req.getQuery('apiKey') ?? '',
    peer: new Uint8Array(res.getRemoteAddress().slice(0)),
    origin: req.getHeader('origin'),
    host: req.getHeader('host'),
    forwarded: FORWARDING_HEADERS.some((name) => req.getHeader(name) !== ''),
  }
}
