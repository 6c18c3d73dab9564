/**
 * Server-sent events (row H-04): a session's story as it happens, and from `Last-Event-ID` on exactly what is missing, at
 * any edge; and what a reader costs that does not read.
 */
import { afterEach, expect, test, vi } from 'vitest'
import { newMessageId, type SessionId } from '../../../src/protocol/ids.js'
import { EventSourceReader, type ServerSentEvent } from '../../support/event-source.js'
import { seededRandom } from '../../support/random.js'
import { AUTH, type Fixture, startCluster, startEdge, token } from '../wire/edge-fixture.js'
import { type ScriptEvent, streamEnd } from '../wire/scripted-worker.js'
import { Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 10 } as const
const note = (fill = ''): ScriptEvent => ({ type: 'session_status_update', session: { status: 'active' }, fill })
const open: EventSourceReader[] = []
afterEach(() => {
  for (const reader of open.splice(0)) reader.close()
})

const addressOf = ({ url }: Fixture): string => url.replace('ws:', 'http:')

async function stream(edge: Fixture, sessionId: SessionId, query = '', headers = {}): Promise<EventSourceReader> {
  const reader = await EventSourceReader.open(`${addressOf(edge)}/api/sessions/${sessionId}/stream${query}`, headers)
  open.push(reader)
  return reader
}

/** Text of each message, asserting that its chunks came contiguous and once. */
function textsOf(events: readonly ServerSentEvent[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const { data } of events) {
    if (data.type !== 'stream_chunk') continue
    const before = texts.get(data.data.messageId) ?? ''
    expect(data.data.offset, 'chunks are contiguous').toBe(Buffer.byteLength(before))
    texts.set(data.data.messageId, before + data.data.chunk)
  }
  return texts
}

test('a reader sees what happens from now on, or the whole story', async () => {
  const edge = await startEdge()
  const sessionId = await new Requester(addressOf(edge), {}).spawn()
  await edge.worker.append(sessionId, [note()])

  const [now, all] = [await stream(edge, sessionId), await stream(edge, sessionId, '?after=0-0')]
  await now.next(({ event }) => event === 'subscribed')
  await edge.worker.append(sessionId, [note()])

  await now.next(({ id }) => id === '1-3')
  await all.next(({ id }) => id === '1-3')
  expect(now.eventIds).toEqual(['1-3'])
  expect(all.eventIds).toEqual(['1-1', '1-2', '1-3'])
  expect(all.events[0]).toMatchObject({ event: 'subscribed', data: { sessionId, reset: false } })
  expect(all.response.headers['content-type']).toBe('text/event-stream')
})

test('in the middle of a message, at another edge, only the missing bytes come', async () => {
  const cluster = await startCluster()
  const [one, two] = [await startEdge({ cluster }), await startEdge({ cluster })]
  const sessionId = await new Requester(addressOf(one), {}).spawn()
  const messageId = newMessageId()
  const first = await stream(one, sessionId)
  await first.next(({ event }) => event === 'subscribed')
  await cluster.worker.append(sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'm' } }])
  await cluster.worker.flush(sessionId, messageId, 0, 'äöü ')
  await first.next(({ data }) => data.data?.chunk === 'äöü ')
  expect(first.lastEventId).toBe(`1-2/${messageId}/7`)
  first.close()
  await cluster.worker.flush(sessionId, messageId, 7, 'is missed, ')

  const second = await stream(two, sessionId, '', { 'last-event-id': first.lastEventId })
  await second.next(({ data }) => data.data?.chunk === 'is missed, ')
  await cluster.worker.flush(sessionId, messageId, 18, 'and goes on')
  await cluster.worker.append(sessionId, [streamEnd(messageId, 'äöü is missed, and goes on')], { clearPart: true })
  await second.next(({ event }) => event === 'stream_end')

  expect(textsOf([...first.events, ...second.events]).get(messageId)).toBe('äöü is missed, and goes on')
  expect(second.eventIds).toEqual(['1-3'])
  expect(second.lastEventId).toBe('1-3')
})

test('a reader that is cut off again and again, at two edges, misses nothing and gets nothing twice', async () => {
  const random = seededRandom('event streams')
  const cluster = await startCluster()
  const edges = [await startEdge({ cluster }), await startEdge({ cluster })]
  const [first] = edges
  if (!first) throw new Error('there are two')
  const sessionId = await new Requester(addressOf(first), {}).spawn()
  const seen: ServerSentEvent[] = []
  let lastEventId = '0-0'
  let said = ''
  const writing = (async () => {
    for (let round = 0; round < 40; round++) {
      const messageId = newMessageId()
      await cluster.worker.append(sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'm' } }])
      let text = ''
      for (let piece = 0; piece < 4; piece++) {
        const chunk = `${round}.${piece}ü `
        await cluster.worker.flush(sessionId, messageId, Buffer.byteLength(text), chunk)
        text += chunk
        if (random.integer(0, 2) === 0) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 3)))
      }
      await cluster.worker.append(sessionId, [streamEnd(messageId, text), note()], { clearPart: true })
      said += text
    }
  })()

  const isWhole = (): boolean => seen.some(({ id }) => id === '1-121')
  for (let cut = 0; !isWhole() && cut < 500; cut++) {
    const edge = random.pick(edges)
    const reader = await stream(edge, sessionId, '', { 'last-event-id': lastEventId })
    const patience = random.integer(1, 30)
    await vi.waitFor(() => expect(reader.events.length).toBeGreaterThan(0), PATIENCE)
    await new Promise((resolve) => setTimeout(resolve, patience))
    reader.close()
    // What came after this moment the reader has not got: it comes again.
    seen.push(...reader.events)
    lastEventId = reader.lastEventId
  }
  await writing

  const ids = seen.flatMap(({ data }) => (data.eventId && data.timestamp ? [data.eventId] : []))
  expect(ids).toEqual(Array.from({ length: 121 }, (_, index) => `1-${index + 1}`))
  expect([...textsOf(seen).values()].join('')).toBe(said)
  expect(seen.filter(({ data }) => data.reset)).toEqual([])
})

test('a position that is in no store is answered with a reset and a snapshot', async () => {
  const edge = await startEdge()
  const sessionId = await new Requester(addressOf(edge), {}).spawn()

  const reader = await stream(edge, sessionId, '?after=7-42')

  const { data } = await reader.next(({ event }) => event === 'subscribed')
  expect(data).toMatchObject({ reset: true, eventId: '1-1', session: { id: sessionId } })
})

test.each([
  ['another tenant', { tenant: 'umbrella', role: 'admin' }, 404, 'session_not_found'],
  ['a credential without the scope', { tenant: 'acme', role: 'admin' }, 403, 'forbidden'],
] as const)('for %s there is no stream', async (_who, claims, status, code) => {
  const edge = await startEdge({ auth: AUTH })
  const owner = new Requester(addressOf(edge), {
    authorization: `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}`,
  })
  const sessionId = await owner.spawn()
  const scopes = status === 403 ? { scopes: ['daemon:read'] } : {}
  const other = new Requester(addressOf(edge), { authorization: `Bearer ${await token({ claims, ...scopes })}` })

  const refused = await other.get(`/api/sessions/${sessionId}/stream`)

  expect(refused).toMatchObject({ status, body: { code } })
  expect(edge.edge.connections).toBe(0)
})

test('a token in the address opens a stream, and its end ends it', async () => {
  const edge = await startEdge({ auth: AUTH })
  const claims = { tenant: 'acme', role: 'admin' }
  const owner = new Requester(addressOf(edge), { authorization: `Bearer ${await token({ claims })}` })
  const sessionId = await owner.spawn()
  const exp = Math.floor(Date.now() / 1000) + 5

  const reader = await stream(edge, sessionId, `?token=${await token({ claims, exp })}`)

  expect(await reader.next(({ event }) => event === 'problem')).toMatchObject({ data: { code: 'token_expired' } })
  await vi.waitFor(() => expect(reader.isOver).toBe(true), PATIENCE)
})

test('a stream counts as a connection of its principal', async () => {
  const limits = { messages: undefined, connections: { perPrincipal: 1, perEdge: 100 } }
  const edge = await startEdge({ auth: AUTH, settings: { limits } })
  const authorization = `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}`
  const sessionId = await new Requester(addressOf(edge), { authorization }).spawn()
  const first = await stream(edge, sessionId, '', { authorization })
  expect(edge.edge.connections).toBe(1)

  const second = await new Requester(addressOf(edge), { authorization }).get(`/api/sessions/${sessionId}/stream`)
  first.close()

  expect(second).toMatchObject({ status: 429, body: { code: 'connection_limit_exceeded' } })
  await vi.waitFor(() => expect(edge.edge.connections).toBe(0), PATIENCE)
  await stream(edge, sessionId, '', { authorization })
})

test('a drained edge sends readers away with when to come back', async () => {
  const edge = await startEdge()
  const sessionId = await new Requester(addressOf(edge), {}).spawn()
  const reader = await stream(edge, sessionId)
  await reader.next(({ event }) => event === 'subscribed')

  await edge.edge.drain()

  await vi.waitFor(() => expect(reader.isOver).toBe(true), PATIENCE)
  expect(reader.events.at(-1)).toMatchObject({ event: 'problem', data: { code: 'shutting_down' } })
  expect(reader.retryMs).toBeGreaterThanOrEqual(0)
})

test('a reader that does not read costs a bounded amount, slows nobody, and then gets the rest without a hole', async () => {
  const edge = await startEdge()
  const sessionId = await new Requester(addressOf(edge), {}).spawn()
  const [slow, quick] = [await stream(edge, sessionId), await stream(edge, sessionId)]
  await slow.next(({ event }) => event === 'subscribed')
  await quick.next(({ event }) => event === 'subscribed')
  slow.response.pause()
  const [events, fill] = [1_200, 'x'.repeat(16 * 1024)]
  const before = edge.framesSent()

  for (let first = 0; first < events; first += 8) {
    await edge.worker.append(
      sessionId,
      Array.from({ length: 8 }, () => note(fill)),
    )
  }
  await quick.next(({ id }) => id === `1-${events + 1}`)
  const sentToSlow = edge.framesSent() - before - events
  slow.response.resume()

  await slow.next(({ id }) => id === `1-${events + 1}`)
  expect(sentToSlow, 'the kernel takes some megabytes, the edge 256 KiB').toBeLessThan(events * 0.75)
  expect(slow.eventIds).toEqual(Array.from({ length: events }, (_, index) => `1-${index + 2}`))
}, 60_000)
