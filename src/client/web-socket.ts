/**
 * The WebSocket that the client uses: the platform's own, in Node the `ws` package, which also tells why a connection was
 * refused (refusal.ts). Beyond that only what both have in common is used.
 */

export interface WebSocketLike {
  readonly readyState: number
  send(data: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
}

export type WebSocketConstructor = new (url: string) => WebSocketLike

/** What is looked at of the platform; Node.js 22 and newer have a WebSocket too, which is as silent as a browser's. */
interface Platform {
  readonly WebSocket?: WebSocketConstructor
  readonly process?: { readonly versions?: { readonly node?: string } }
}

/** @throws Error that names the remedy when the platform has no WebSocket and `ws` is not installed. */
export async function findWebSocket(): Promise<WebSocketConstructor> {
  const { WebSocket: own, process } = globalThis as unknown as Platform
  if (own && process?.versions?.node === undefined) return own
  try {
    const module = (await import('ws')) as unknown as { default: WebSocketConstructor }
    return module.default
  } catch (cause) {
    if (own) return own
    throw new Error('this platform has no WebSocket: install the package ws, or pass `webSocket`', { cause })
  }
}
