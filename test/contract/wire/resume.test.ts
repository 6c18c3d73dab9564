/**
 * Resume over real connections: exactly the missed suffix, or an explicit reset; and what a slow or drained client gets.
 */
import { expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type ConnectOptions, connect } from '../../../src/client/client.js'
import { newMessageId, type SessionId } from '../../../src/protocol/ids.js'
import { type Fixture, startEdge } from './edge-fixture.js'
import { type ScriptEvent, streamEnd } from './scripted-worker.js'

const note = (fill = ''): ScriptEvent => ({ type: 'session_status_update', session: { status: 'active' }, fill })

/** Moves all events of a session to Postgres and drops all but `keep` of them from the log. */
async function project({ bus, worker, events }: Fixture, sessionId: SessionId, keep: number): Promise<void> {
  events.stored.set(sessionId, [...(await bus.log.events(sessionId, '0-0', 10_000))])
  await worker.trim(sessionId, keep)
}

test('W-50: a client that names its position gets exactly what it missed', async () => {
  const { client, worker } = await startEdge()
  const first = await client()
  const sessionId = await first.spawn()
  await worker.append(sessionId, [note(), note(), note()])
  const second = await client()

  second.send({ type: 'subscribe', requestId: 'r', payload: { sessionId, from: { eventId: '1-2' } } })
  await second.next((frame) => frame.eventId === '1-4')

  expect(second.frames[0]).toEqual({ type: 'subscribed', sessionId, eventId: '1-2', reset: false, requestId: 'r' })
  expect(second.eventIds(sessionId)).toEqual(['1-3', '1-4'])
})

test('in the middle of a message only the missing bytes are sent, then the stream goes on', async () => {
  const { client, worker } = await startEdge()
  const first = await client()
  const sessionId = await first.spawn()
  const messageId = newMessageId()
  await worker.append(sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'm' } }])
  await worker.flush(sessionId, messageId, 0, 'äöü ')
  await worker.flush(sessionId, messageId, 7, 'is seen')
  const second = await client()

  second.send({ type: 'subscribe', payload: { sessionId, from: { eventId: '1-2', messageId, offset: 4 } } })
  await second.type('stream_chunk')
  await worker.flush(sessionId, messageId, 14, ' and more')
  await worker.append(sessionId, [streamEnd(messageId, 'äöü is seen and more')], { clearPart: true })
  await second.type('stream_end')

  const chunks = second.frames.filter(({ type }) => type === 'stream_chunk').map(({ data }) => data)
  expect(chunks).toMatchObject([
    { chunk: 'ü is seen', offset: 4 },
    { chunk: ' and more', offset: 14 },
  ])
  expect([...first.texts(sessionId).values()]).toEqual(['äöü is seen and more'])
})

test('a message that ended meanwhile is completed before its end is told', async () => {
  const { client, worker } = await startEdge()
  const first = await client()
  const sessionId = await first.spawn()
  await worker.stream(sessionId, 'all of this was missed')
  const { messageId } = await first.type('stream_end')
  const second = await client()

  second.send({ type: 'subscribe', payload: { sessionId, from: { eventId: '1-2', messageId, offset: 12 } } })
  await second.type('stream_end')

  expect(second.frames.map(({ type }) => type)).toEqual(['subscribed', 'stream_chunk', 'stream_end'])
  expect(second.frames[1]?.data).toMatchObject({ chunk: 'was missed', offset: 12 })
})

test('what the log has dropped comes from Postgres, without a hole', async () => {
  const fixture = await startEdge()
  const { client, worker } = fixture
  const first = await client()
  const sessionId = await first.spawn()
  for (let round = 0; round < 20; round++)
    await worker.append(
      sessionId,
      Array.from({ length: 32 }, () => note()),
    )
  await project(fixture, sessionId, 10)
  const second = await client()

  second.send({ type: 'subscribe', payload: { sessionId, from: { eventId: '0-0' } } })
  await second.next((frame) => frame.eventId === '1-641')

  expect(second.eventIds(sessionId)).toEqual(Array.from({ length: 641 }, (_, index) => `1-${index + 1}`))
})

test('a position that nobody knows is an explicit reset with a snapshot, and the story goes on from the head', async () => {
  const { client, worker } = await startEdge()
  const first = await client()
  const sessionId = await first.spawn()
  await worker.append(sessionId, [note()])
  const second = await client()

  const answer = await second.ask({ type: 'subscribe', payload: { sessionId, from: { eventId: '3-77' } } })
  await worker.append(sessionId, [note()])
  await second.next((frame) => frame.eventId === '1-3' && frame.type !== 'subscribed')

  expect(answer).toMatchObject({ type: 'subscribed', reset: true, eventId: '1-2', session: { id: sessionId } })
  expect(second.eventIds(sessionId)).toEqual(['1-3'])
})

test('a client with text that the log does not have is reset', async () => {
  const { client, worker } = await startEdge()
  const first = await client()
  const sessionId = await first.spawn()
  const messageId = newMessageId()
  await worker.append(sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'm' } }])
  await worker.flush(sessionId, messageId, 0, 'short')
  const second = await client()

  second.send({ type: 'subscribe', payload: { sessionId, from: { eventId: '1-2', messageId, offset: 50 } } })
  await second.type('stream_chunk')

  expect(second.frames.find(({ reset }) => reset === true)).toMatchObject({ type: 'subscribed', eventId: '1-2' })
  expect([...second.texts(sessionId).values()]).toEqual(['short'])
})

test('after unsubscribe nothing more of the session arrives', async () => {
  const { client, worker } = await startEdge()
  const [first, second] = [await client(), await client()]
  const sessionId = await first.spawn()
  await second.ask({ type: 'subscribe', payload: { sessionId } })

  await second.ask({ type: 'unsubscribe', payload: { sessionId } })
  await worker.append(sessionId, [note()])
  await first.next((frame) => frame.eventId === '1-2')
  await second.ask({ type: 'ping' })

  expect(second.eventIds(sessionId)).toEqual([])
})

test('W-52: a client that does not read costs little and slows nobody, and gets everything when it reads again', async () => {
  const fixture = await startEdge()
  const { client, worker } = fixture
  const [fast, slow] = [await client(), await client()]
  const sessionId = await fast.spawn()
  await slow.ask({ type: 'subscribe', payload: { sessionId, from: { eventId: '0-0' } } })
  const [commits, perCommit, bytes] = [300, 5, 20_000]
  const last = `1-${1 + commits * perCommit}`

  slow.socket.pause()
  for (let count = 0; count < commits; count++) {
    await worker.append(
      sessionId,
      Array.from({ length: perCommit }, () => note('x'.repeat(bytes))),
    )
  }
  await fast.next((frame) => frame.eventId === last)
  const sentToSlow = fixture.framesSent() - fast.frames.length
  slow.socket.resume()
  await vi.waitFor(() => expect(slow.frames.at(-1)?.eventId).toBe(last), { timeout: 20_000 })

  expect(slow.eventIds(sessionId)).toEqual(fast.eventIds(sessionId))
  // The kernel takes up to about 10 MB of the 30; what the edge holds itself is far less.
  expect(sentToSlow).toBeLessThan((commits * perCommit) / 2)
}, 40_000)

test('W-05: a drain tells each client when to come back and closes with 1012, and nobody new is let in', async () => {
  const { edge, url, client } = await startEdge()
  const raws = [await client(), await client()]

  await edge.drain()

  for (const raw of raws) {
    await expect.poll(() => raw.closed).toEqual({ code: 1012, reason: 'Server shutting down' })
    expect(raw.frames.at(-1)).toMatchObject({
      type: 'error',
      code: 'shutting_down',
      retryable: true,
      retryAfterMs: expect.any(Number),
    })
  }
  const late = new WebSocket(url)
  const refused = await new Promise((resolve) => late.on('error', (error) => resolve(error.message)))
  expect(refused).toContain('ECONNREFUSED')
})

test('a session goes on at another edge when its edge is drained', async () => {
  const one = await startEdge()
  const two = await startEdge({ cluster: one })
  const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
  const client = await connect({ urls: [one.url, two.url], webSocket })
  const session = await client.spawn({ task: 'wait' })
  await session.execute('stream before the drain')
  const [used, other] = one.edge.connections === 1 ? [one, two] : [two, one]

  await used.edge.drain()
  const end = await session.execute('stream after the drain')

  expect(end.type).toBe('task_completed')
  expect(other.edge.connections).toBe(1)
  client.close()
})

test('a port that is taken is one clear sentence', async () => {
  const { edge } = await startEdge()

  await expect(startEdge({ settings: { port: edge.port } })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${edge.port}; stop what uses it, or choose another with --port or DAEMON_PORT`,
  )
})
