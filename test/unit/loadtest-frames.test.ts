/**
 * The load generator's WebSocket framing says and understands what a WebSocket library does.
 */
import { createServer } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { clientFrame, FrameReader, OPCODE } from '../../loadtest/generator/frames.js'
import { LoadSocket } from '../../loadtest/generator/socket.js'
import { seededRandom } from '../support/random.js'

/** A server's frame, as RFC 6455 draws it. */
function serverFrame(payload: string, opcode: number = OPCODE.text, final = true): Buffer {
  const { length } = payload
  const first = (final ? 0x80 : 0) | opcode
  const wide = Buffer.alloc(8)
  wide.writeBigUInt64BE(BigInt(length))
  const size = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 0xff] : [127, ...wide]
  return Buffer.concat([Buffer.from([first, ...size]), Buffer.from(payload, 'latin1')])
}

function reader(): { frames: string[]; push(chunk: Buffer): void } {
  const frames: string[] = []
  const inner = new FrameReader((opcode, payload) => frames.push(`${opcode}:${payload}`))
  return { frames, push: (chunk) => inner.push(chunk) }
}

describe('a client’s frame', () => {
  test.each([0, 1, 125, 126, 65_535])('of %i bytes is masked with zeros and carries its length', (length) => {
    const payload = 'x'.repeat(length)

    const bytes = Buffer.from(clientFrame(payload), 'latin1')

    const header = length < 126 ? 2 : 4
    expect(bytes[0]).toBe(0x81)
    expect(bytes[1]).toBe(0x80 | (length < 126 ? length : 126))
    if (header === 4) expect(bytes.readUInt16BE(2)).toBe(length)
    expect(bytes.subarray(header, header + 4)).toEqual(Buffer.alloc(4))
    expect(bytes.subarray(header + 4).toString('latin1')).toBe(payload)
  })

  test('is refused when its length does not fit', () => {
    expect(() => clientFrame('x'.repeat(65_536))).toThrow('a request has at most 65535 bytes, not 65536')
  })
})

describe('the reader of a server’s frames', () => {
  test('gets the same frames however the bytes are cut into chunks', () => {
    const random = seededRandom('frames in chunks')
    const sizes = [0, 5, 125, 126, 300, 65_535, 65_536]
    const payloads = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(random.pick(sizes), '.'))
    const bytes = Buffer.concat(payloads.map((payload) => serverFrame(payload)))
    const { frames, push } = reader()

    for (let at = 0; at < bytes.length; ) {
      const end = at + random.integer(1, random.pick([20, 100_000]))
      push(Buffer.from(bytes.subarray(at, end)))
      at = end
    }

    expect(frames).toEqual(payloads.map((payload) => `1:${payload}`))
  })

  test('joins a message that comes in fragments, with a ping between them', () => {
    const { frames, push } = reader()

    push(serverFrame('one ', OPCODE.text, false))
    push(serverFrame('p', OPCODE.ping))
    push(serverFrame('two', OPCODE.continuation, true))

    expect(frames).toEqual(['9:p', '1:one two'])
  })

  test('keeps a frame whose memory is used again', () => {
    const memory = Buffer.from(serverFrame('kept'))
    const { frames, push } = reader()

    push(memory.subarray(0, 4))
    const rest = Buffer.from(memory.subarray(4))
    memory.fill(0)
    push(rest)

    expect(frames).toEqual(['1:kept'])
  })

  test('refuses masked frames and absurd lengths', () => {
    expect(() => reader().push(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 1]))).toThrow('masked')
    expect(() => reader().push(Buffer.from([0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0]))).toThrow('announced a frame')
  })
})

describe('a connection', () => {
  test('talks to a WebSocket library in both directions', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    server.on('connection', (client, request) => {
      client.send(`hello ${request.headers.authorization}`)
      client.on('message', (message) => client.send(`${message}`))
    })
    const heard: string[] = []
    const onText = (text: string): void => void heard.push(text)
    const socket = new LoadSocket({ host: '127.0.0.1', port }, { onText, onLost: (reason) => heard.push(reason) })

    await socket.open('/', 'token')
    socket.send('short')
    socket.send('l'.repeat(1_000))
    await vi.waitFor(() => expect(heard).toHaveLength(3), { interval: 2 })

    expect(heard).toEqual(['hello Bearer token', 'short', 'l'.repeat(1_000)])
    socket.close()
    server.close()
  })

  test('that is refused says what the server answered', async () => {
    const server = createServer((client) => client.end('HTTP/1.1 401 Unauthorized\r\n\r\n'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const socket = new LoadSocket({ host: '127.0.0.1', port }, { onText: () => {}, onLost: () => {} })

    await expect(socket.open('/', '')).rejects.toThrow('no upgrade: HTTP/1.1 401 Unauthorized')
    server.close()
  })
})
