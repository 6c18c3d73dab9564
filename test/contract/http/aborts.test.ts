/**
 * Clients that leave in the middle, at every point of a request: nothing breaks, nothing is kept, and what was asked for is
 * done all the same.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, test, vi } from 'vitest'
import { ENDPOINT_NAMES, ENDPOINTS } from '../../../src/protocol/rest/endpoints.js'
import { seededRandom } from '../../support/random.js'
import { startEdge } from '../wire/edge-fixture.js'
import { Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 10 } as const
const HEAD = 'host: 127.0.0.1\r\ncontent-type: application/json\r\n'

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined) // It is meant to break.
  await once(socket, 'connect')
  return socket
}

test('a client that leaves before its command is accepted has it carried out all the same', async () => {
  const edge = await startEdge()
  const alice = new Requester(edge.url.replace('ws:', 'http:'), {})
  const id = await alice.spawn()
  edge.worker.paused = true
  const socket = await dial(edge.edge.port)
  const body = '{"task":"work"}'
  const head = `POST /api/sessions/${id}/tasks HTTP/1.1\r\n${HEAD}idempotency-key: left\r\n`
  socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`)
  await new Promise((resolve) => setTimeout(resolve, 50))

  socket.destroy()
  edge.worker.paused = false

  await vi.waitFor(() => expect(edge.worker.accepted).toContain('left'), PATIENCE)
  const again = await alice.post(`/api/sessions/${id}/tasks`, { task: 'work' }, { 'idempotency-key': 'left' })
  expect(again.status).toBe(202)
  expect(edge.worker.accepted.filter((commandId) => commandId === 'left')).toHaveLength(1)
})

test('requests of every endpoint that are cut at any byte leave the door as it was', async () => {
  const random = seededRandom('aborted requests')
  const errors: unknown[] = []
  const edge = await startEdge({ log: { error: (fields) => void errors.push(fields) } })
  const alice = new Requester(edge.url.replace('ws:', 'http:'), {})
  const id = await alice.spawn()
  const body = JSON.stringify({ task: 'work', decision: 'approve', fill: 'x'.repeat(3_000) })

  for (let round = 0; round < 400; round++) {
    const { method, path } = ENDPOINTS[random.pick(ENDPOINT_NAMES)]
    const address = path.replace(/\{(\w+)\*?\}/g, (_whole, name) => (name === 'sessionId' ? id : 'some'))
    const text = `${method} ${address} HTTP/1.1\r\n${HEAD}content-length: ${body.length}\r\n\r\n${body}`
    const socket = await dial(edge.edge.port)
    socket.write(text.slice(0, random.integer(1, text.length)))
    if (random.integer(0, 1) === 0) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 5)))
    if (random.integer(0, 1) === 0) socket.destroy()
    else socket.resetAndDestroy()
  }

  await vi.waitFor(() => expect(edge.edge.connections).toBe(0), PATIENCE)
  expect(await alice.get('/api/whoami')).toMatchObject({ status: 200 })
  expect(errors).toEqual([])
}, 60_000)

test('a client that reads a large answer slowly gets all of it', async () => {
  const size = 24 * 1024 * 1024
  const content = Buffer.alloc(size, 'abcdefgh')
  const file = { path: 'large.bin', size, hash: 'h', mode: 0o644, changedAt: new Date() }
  const artifacts = { page: async () => ({ artifacts: [file] }), find: async () => file, content: async () => content }
  const edge = await startEdge({ http: { artifacts } })
  const id = await new Requester(edge.url.replace('ws:', 'http:'), {}).spawn()
  const socket = await dial(edge.edge.port)
  const pieces: Buffer[] = []
  socket.on('data', (piece) => {
    pieces.push(piece)
    if (pieces.length % 50 !== 0) return
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
  socket.write(`GET /api/sessions/${id}/artifacts/large.bin HTTP/1.1\r\n${HEAD}connection: close\r\n\r\n`)

  const received = (): number => pieces.reduce((sum, piece) => sum + piece.length, 0)
  await vi.waitFor(() => expect(received()).toBeGreaterThan(size), { timeout: 20_000, interval: 20 })
  const all = Buffer.concat(pieces)
  expect(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(content)).toBe(true)
  socket.destroy()
})
