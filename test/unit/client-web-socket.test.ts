/**
 * Which WebSocket the client takes when it is given none.
 */
import { afterEach, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { findWebSocket } from '../../src/client/web-socket.js'

class OfThePlatform {}

afterEach(() => {
  vi.unstubAllGlobals()
})

test('in Node it is the package ws, because that one tells why a connection was refused', async () => {
  vi.stubGlobal('WebSocket', OfThePlatform)

  expect(await findWebSocket()).toBe(WebSocket)
})

test('in a browser, which may have a `process` of its bundler, it is the platform’s', async () => {
  vi.stubGlobal('WebSocket', OfThePlatform)
  vi.stubGlobal('process', { env: {}, versions: {} })

  expect(await findWebSocket()).toBe(OfThePlatform)
})
