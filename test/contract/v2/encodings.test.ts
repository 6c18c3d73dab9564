/**
 * Row V2: the same methods in binary frames, and in the frames of JSON-RPC 2.0.
 */
import { randomUUID } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { AUTH, startEdge } from '../wire/edge-fixture.js'
import { connectParams, connectV2, openV2, type V2Client } from './v2-fixture.js'

const [COMPRESSED, CHUNKED, FINAL] = [0x01, 0x02, 0x04]

function binary(id: string, metadata: object, payload: string | Uint8Array = '', flags = 0, version = 1): Buffer {
  const meta = Buffer.from(JSON.stringify(metadata))
  const head = Buffer.alloc(22)
  head[0] = version
  head[1] = flags
  Buffer.from(id.replaceAll('-', ''), 'hex').copy(head, 2)
  head.writeUInt32BE(meta.length, 18)
  return Buffer.concat([head, meta, Buffer.from(payload)])
}

const answerOf = (client: V2Client, id: string) => client.next((frame) => frame.type === 'res' && frame.id === id)

async function session(client: V2Client): Promise<string> {
  return (await client.ask('session.create', { sessionType: 'echo', task: { description: 'wait' } })).id
}

test('a request may stand in the payload of a binary frame, as JSON or as text', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await session(client)
  const [json, text] = [randomUUID(), randomUUID()]

  client.send(binary(json, { method: 'session.status' }, JSON.stringify({ sessionId })))
  client.send(binary(text, { method: 'prompt.submit', contentType: 'text/plain', extra: { sessionId } }, 'größer'))

  expect(await answerOf(client, json)).toMatchObject({ ok: true, payload: { id: sessionId } })
  expect(await answerOf(client, text)).toMatchObject({ ok: true, payload: { sessionId } })
  expect(await client.event('stream.end')).toMatchObject({ metadata: { output: 'größer' } })
})

test('a long text comes in compressed pieces, and is answered once it is whole', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await session(client)
  const id = randomUUID()
  const pieces = ['one ', 'two ', 'three'].map((piece) => deflateSync(piece))

  const about = { method: 'prompt.submit', contentType: 'text/plain', extra: { sessionId } }
  client.send(binary(id, { ...about, chunkIndex: 0 }, pieces[0], COMPRESSED | CHUNKED))
  client.send(binary(id, { chunkIndex: 1 }, pieces[1], COMPRESSED | CHUNKED))
  await client.ask('health.ping')
  expect(client.frames.some((frame) => frame.id === id)).toBe(false)
  client.send(binary(id, { chunkIndex: 2 }, pieces[2], COMPRESSED | CHUNKED | FINAL))

  expect(await answerOf(client, id)).toMatchObject({ ok: true })
  expect(await client.event('stream.end')).toMatchObject({ metadata: { output: 'one two three' } })
})

const ID = randomUUID()
test.each([
  ['of another version', binary(ID, {}, '', 0, 9), 'INVALID_REQUEST'],
  ['that ends inside its header', Buffer.from([1, 0, 1]), 'INVALID_REQUEST'],
  ['whose metadata is cut', binary(ID, { method: 'health.ping' }).subarray(0, 30), 'INVALID_REQUEST'],
  [
    'whose metadata is no object',
    Buffer.concat([binary(ID, []).subarray(0, 22), Buffer.from('[]')]),
    'INVALID_REQUEST',
  ],
  ['without a method', binary(ID, {}, '{}'), 'INVALID_REQUEST'],
  ['whose payload is no JSON', binary(ID, { method: 'health.ping' }, '{'), 'INVALID_REQUEST'],
  ['whose text is no UTF-8', binary(ID, { method: 'health.ping' }, Buffer.from([0xff, 0xfe])), 'INVALID_REQUEST'],
  [
    'with text for a method that takes none',
    binary(ID, { method: 'health.ping', contentType: 'text/plain' }, 'x'),
    'INVALID_REQUEST',
  ],
  [
    'of a type that means nothing here',
    binary(ID, { method: 'health.ping', contentType: 'image/png' }, 'x'),
    'INVALID_REQUEST',
  ],
  ['that only looks compressed', binary(ID, { method: 'health.ping' }, 'nonsense', COMPRESSED), 'INVALID_REQUEST'],
  ['that begins in the middle', binary(ID, { method: 'health.ping', chunkIndex: 3 }, '{}', CHUNKED), 'INVALID_REQUEST'],
  [
    'that unfolds into more than may be sent',
    binary(ID, { method: 'health.ping' }, deflateSync(Buffer.alloc(2_000_000)), COMPRESSED),
    'INVALID_REQUEST',
  ],
])('a binary frame %s is refused, and the connection is kept', async (_name, frame, code) => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  client.send(frame)

  const refusal = await client.next(({ type, ok }) => type === 'res' && ok === false)
  expect(refusal.error).toMatchObject({ code })
  expect(await client.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
})

test('of requests that are begun and not ended only a few are kept, and not more than one may send', async () => {
  const { url } = await startEdge({ settings: { maxPayloadBytes: 10_000 } })
  const client = await connectV2(url)
  const ids = Array.from({ length: 5 }, () => randomUUID())
  for (const id of ids) client.send(binary(id, { method: 'health.ping' }, 'x'.repeat(1_000), CHUNKED))
  expect(await answerOf(client, ids[4] ?? '')).toMatchObject({ error: { code: 'UNAVAILABLE' } })

  client.send(binary(ids[0] ?? '', {}, 'x'.repeat(8_000), CHUNKED))

  expect(await answerOf(client, ids[0] ?? '')).toMatchObject({ error: { details: { code: 'message_too_large' } } })
})

test('before the handshake a binary frame ends the connection', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const client = await openV2(`${url}/v2`)

  client.send(binary(randomUUID(), { method: 'health.ping' }))

  expect((await client.end()).code).toBe(1008)
})

test('V2: a client of JSON-RPC 2.0 gets results, errors and notifications in its own words', async () => {
  const { url } = await startEdge()
  const client = await openV2(url)
  const call = async (id: number | string, method: string, params?: unknown) => {
    client.send({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) })
    return client.next((frame) => frame.jsonrpc === '2.0' && frame.id === id)
  }

  const hello = await call(1, 'auth.connect', connectParams())
  const { result } = await call('two', 'session.create', { sessionType: 'echo', task: { description: 'wait' } })
  const created = await client.next(({ method }) => method === 'session.created')
  const unknown = await call(3, 'dance')
  const wrong = await call(4, 'session.status', {})
  const missing = await call(5, 'session.status', { sessionId: 'none' })
  client.send({ jsonrpc: '2.0', method: 'health.ping' })
  const nameless = await client.next(({ id }) => id === null)

  expect(hello).toMatchObject({ jsonrpc: '2.0', id: 1, result: { type: 'hello', protocol: 2 } })
  expect(created).toMatchObject({ jsonrpc: '2.0', params: { payload: { id: result.id }, seq: expect.any(Number) } })
  expect(created).not.toHaveProperty('id')
  expect([unknown, wrong, missing, nameless].map(({ error }) => [error.code, error.data.wundrCode])).toEqual([
    [-32601, 'INVALID_REQUEST'],
    [-32602, 'INVALID_REQUEST'],
    [-32007, 'NOT_FOUND'],
    [-32602, 'INVALID_REQUEST'],
  ])
})
