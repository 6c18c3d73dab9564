/**
 * Peers that are gone without a word (row W-03): pings go out, and whoever answers none of them is let go; and frames that are
 * far too large (row W-04).
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startEdge } from './edge-fixture.js'

/** Two heartbeats, but never less than a slow client may stall; the transport looks every few seconds. */
const LET_GO_MS = 68_000 + 12_000
const PING = 0x89

/** A peer that completes the upgrade and then neither sends nor answers anything. */
async function silentPeer(port: number): Promise<{ readonly socket: Socket; readonly opcodes: number[] }> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const opcodes: number[] = []
  await once(socket, 'connect')
  socket.write(
    ['GET / HTTP/1.1', `host: 127.0.0.1:${port}`, 'upgrade: websocket', 'connection: upgrade']
      .concat([`sec-websocket-key: ${randomBytes(16).toString('base64')}`, 'sec-websocket-version: 13', '', ''])
      .join('\r\n'),
  )
  await once(socket, 'data')
  socket.on('data', (bytes) => opcodes.push(...framesIn(bytes)))
  return { socket, opcodes }
}

/** First bytes of short frames of a server, which come unmasked. */
function framesIn(bytes: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at + 1 < bytes.length; at += 2 + (bytes[at + 1] ?? 0)) found.push(bytes[at] ?? 0)
  return found
}

test('W-03: a peer that answers no ping is let go, and one that does stays', {
  timeout: LET_GO_MS + 20_000,
}, async () => {
  const { edge, client } = await startEdge({ settings: { heartbeatIntervalMs: 5_000 } })
  const alive = await client()
  const { socket, opcodes } = await silentPeer(edge.port)
  expect(edge.connections).toBe(2)

  await Promise.race([once(socket, 'close'), once(socket, 'end')])
  await vi.waitFor(() => expect(edge.connections).toBe(1), { timeout: 15_000 })

  expect(opcodes.filter((opcode) => opcode === PING).length).toBeGreaterThanOrEqual(5)
  expect(alive.closed).toBeUndefined()
  expect(await alive.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test('W-04: a frame of many times the limit ends its connection, and no other', async () => {
  const { edge, client } = await startEdge({ settings: { maxPayloadBytes: 1_024 } })
  const [wrong, other] = [await client(), await client()]

  wrong.send({ type: 'ping', fill: 'x'.repeat(1_500) })
  expect(await wrong.type('error')).toMatchObject({ code: 'message_too_large' })
  wrong.send({ type: 'ping', fill: 'x'.repeat(10_000) })

  await vi.waitFor(() => expect(wrong.closed).toBeDefined())
  await expect.poll(() => edge.connections).toBe(1)
  expect(await other.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})
