/**
 * Is this request made by somebody at this machine? Asked only when no secret is configured. A web page that the user
 * happens to visit also connects from this machine, so the Origin and the Host must be local too: the Host because a
 * hostile name may be made to resolve to 127.0.0.1.
 */

export interface RequestOrigin {
  /** 4 or 16 bytes. */
  readonly peer: Uint8Array
  /** Headers, '' when absent. */
  readonly origin: string
  readonly host: string
  /** Whether a proxy says that it speaks for somebody else. */
  readonly forwarded: boolean
}

export function isLocalRequest(request: RequestOrigin): boolean {
  if (request.forwarded || !isLoopbackAddress(request.peer)) return false
  if (!isLoopbackHost(request.host)) return false
  return request.origin === '' || isLoopbackOrigin(request.origin)
}

const IPV4_MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
const LAST_OF_IPV6 = 15

function isLoopbackAddress(bytes: Uint8Array): boolean {
  if (bytes.length === 4) return bytes[0] === 127
  if (bytes.length !== 16) return false
  if (IPV4_MAPPED.every((byte, index) => bytes[index] === byte)) return bytes[12] === 127
  return bytes.every((byte, index) => byte === (index === LAST_OF_IPV6 ? 1 : 0))
}

/** `name`, `name:port` or `[::1]:port`. */
function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return name === 'localhost' || name === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)
}

function isLoopbackOrigin(origin: string): boolean {
  const match = /^https?:\/\/([^/@]+)$/i.exec(origin)
  return match?.[1] !== undefined && isLoopbackHost(match[1])
}
