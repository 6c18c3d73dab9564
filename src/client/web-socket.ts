/**
 * The WebSocket that the client uses: the platform's own where there is one, else the `ws` package. Only what both have
 * in common is used.
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

/** @throws Error that names the remedy when the platform has no WebSocket and `ws` is not installed. */
export async function findWebSocket(): Promise<WebSocketConstructor> {
  const own = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket
  if (own) return own
  try {
    const module = (await import('ws')) as unknown as { default: WebSocketConstructor }
    return module.default
  } catch (cause) {
    throw new Error('this platform has no WebSocket: install the package ws, or pass `webSocket`', { cause })
  }
}
