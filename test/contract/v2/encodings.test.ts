/**
 * Row V2: the same methods in binary frames, and in the frames of JSON-RPC 2.0.
 */
import { randomUUID } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { expect, test, vi } from 'vitest'
import type { Command } from '../../../src/bus/command.js'
import { AUTH, startEdge } from '../wire/edge-fixture.js'
import { streamEnd } from '../wire/scripted-worker.js'
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

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CONTEXT = `00-${TRACE}-b7ad6b7169203331-01`

test('a request may name its place in a trace however it is written, and its command goes there', async () => {
  const commands: Command[] = []
  const { url, bus } = await startEdge()
  const submit = bus.commands.submit.bind(bus.commands)
  bus.commands.submit = (submission) => {
    commands.push(JSON.parse(submission.body) as Command)
    return submit(submission)
  }
  const client = await connectV2(url)
  const other = await openV2(url)
  other.send({ jsonrpc: '2.0', id: 'hello', method: 'auth.connect', params: connectParams() })
  await other.next(({ id }) => id === 'hello')
  const sessionId = await session(client)
  const params = { sessionId, prompt: 'one' }
  const id = randomUUID()

  client.send({ type: 'req', id: 'native', method: 'prompt.submit', params, traceparent: CONTEXT })
  await answerOf(client, 'native')
  client.send(binary(id, { method: 'prompt.submit', traceparent: CONTEXT }, JSON.stringify(params)))
  await answerOf(client, id)
  other.send({ jsonrpc: '2.0', id: 'rpc', method: 'prompt.submit', params, traceparent: CONTEXT })
  await other.next((frame) => frame.id === 'rpc')
  client.send({ type: 'req', id: 'no trace', method: 'prompt.submit', params, traceparent: 'over there' })
  client.send({ type: 'req', id: 'long', method: 'prompt.submit', params, traceparent: 'x'.repeat(129) })

  expect(await answerOf(client, 'no trace')).toMatchObject({ ok: true })
  expect(await answerOf(client, 'long')).toMatchObject({ ok: false, error: { code: 'INVALID_REQUEST' } })
  const executed = commands.filter(({ type }) => type === 'execute')
  expect(executed.map(({ traceparent }) => traceparent)).toEqual([CONTEXT, CONTEXT, CONTEXT, undefined])
})

test('an event that belongs to a trace says so, in each of the protocols that tell it', async () => {
  const { url, worker } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await session(client)
  const feed = await openV2(`${url}/daemon/ws`)
  feed.send({ type: 'auth', payload: { accessToken: 'any' } })
  feed.send({ type: 'subscribe', payload: { eventTypes: ['*'], channelIds: [sessionId] } })
  await vi.waitFor(async () => {
    const task = { id: 't-1', description: 'x' }
    await worker.append(sessionId, [{ type: 'task_executing', taskId: 't-1', task, turn: 1, traceparent: CONTEXT }])
    const heard = feed.frames.filter(({ type }) => type === 'event').map(({ payload }) => payload.data.traceparent)
    expect(heard).toContain(CONTEXT)
  })
  await worker.append(sessionId, [{ ...streamEnd('m-1', 'a step'), traceparent: CONTEXT }])

  expect(await client.event('session.status', ({ promptId }) => promptId === 't-1')).toMatchObject({
    traceparent: CONTEXT,
  })
  const progress = await client.event('stream.progress')
  expect(progress).toMatchObject({ traceparent: CONTEXT, data: { text: 'a step' } })
  expect(progress.data).not.toHaveProperty('traceparent')
})
