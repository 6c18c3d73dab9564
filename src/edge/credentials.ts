/**
 * What a request shows of who it comes from, at every door: credentials in their four places, and where it came from.
 */
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { Credentials } from './auth.js'
import type { NetworkPath } from './client-address.js'

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
    ...pathOf(res, req),
  }
}

/** What proxies say of whom they speak for. A proxy may add a header of its own behind one that its client has sent. */
export function pathOf(res: HttpResponse, req: HttpRequest): Required<Omit<NetworkPath, 'peer'>> {
  const lines: string[] = []
  if (req.getHeader('x-forwarded-for') !== '') {
    req.forEach((name, value) => {
      if (name === 'x-forwarded-for') lines.push(value)
    })
  }
  return { proxied: new Uint8Array(res.getProxiedRemoteAddress().slice(0)), forwardedFor: lines.join(',') }
}
