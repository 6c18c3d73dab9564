/**
 * Row V2: what is told without being asked, to whom, and how a client goes on after it was away.
 */
import { expect, test, vi } from 'vitest'
import { AUTH, startEdge, token } from '../wire/edge-fixture.js'
import { streamEnd } from '../wire/scripted-worker.js'
import { connectParams, connectV2, type Frame, type V2Client } from './v2-fixture.js'

const SPAWN = { sessionType: 'echo', task: { description: 'wait' } }

const ends = (client: V2Client): Frame[] => client.events().filter(({ event }) => event === 'stream.end')

async function created(client: V2Client, more: object = {}): Promise<string> {
  const { id } = await client.ask('session.create', { ...SPAWN, ...more })
  return id
}

test('a subscription brings the events that it names, under its id', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client, { subscribe: false })

  const { subscriptionId, events } = await client.ask('subscribe', { events: ['stream.*'], filter: { sessionId } })
  await client.ask('prompt.submit', { sessionId, prompt: 'stream a b', stream: false })
  await client.event('stream.end')

  expect(subscriptionId).toMatch(/^sub_/)
  expect(events).toEqual(['stream.*'])
  expect(new Set(client.names().map((name) => name.split('.')[0]))).toEqual(new Set(['stream']))
  for (const frame of client.events()) expect(frame.subscriptionId).toBe(subscriptionId)
})

test('to a user a subscription without a session means all that the connection watches, and nothing else', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const user = connectParams(await token({ claims: { role: 'user' } }))
  const [client, other] = [await connectV2(`${url}/v2`, user), await connectV2(`${url}/v2`, user)]
  expect(await client.ask('subscribe', { events: ['session.created'] })).toMatchObject({ scope: 'connection' })

  const mine = await created(client)
  await created(other)
  await client.event('session.created')
  await client.ask('health.ping')

  const told = client.events().filter(({ event }) => event === 'session.created')
  expect(told.map(({ payload, subscriptionId }) => [payload.id, typeof subscriptionId])).toEqual([[mine, 'string']])
})

test('an event goes out once for each subscription that means it', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const ids = await Promise.all(
    [['**'], ['session.*']].map(async (events) => (await client.ask('subscribe', { events })).subscriptionId),
  )

  await created(client)
  await vi.waitFor(() => expect(client.events().filter(({ event }) => event === 'session.created')).toHaveLength(2))

  const both = client.events().filter(({ event }) => event === 'session.created')
  expect(both.map(({ subscriptionId }) => subscriptionId).toSorted()).toEqual(ids.toSorted())
  expect(new Set(both.map(({ seq }) => seq)).size).toBe(1)
})

test('a filter is about values of the payload', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client, { subscribe: false })

  await client.ask('subscribe', { events: ['session.status'], filter: { sessionId, status: 'terminated' } })
  await client.ask('prompt.submit', { sessionId, prompt: 'hi', stream: false })
  await client.ask('session.stop', { sessionId })
  await client.event('session.status')

  expect(client.events().map(({ payload }) => payload.status)).toEqual(['terminated'])
})

test('after unsubscribe nothing more is told', async () => {
  const { url, edge } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client, { subscribe: false })
  const { subscriptionId } = await client.ask('subscribe', { events: ['*'], filter: { sessionId } })
  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(1))

  expect(await client.ask('unsubscribe', { subscriptionId })).toEqual({ ok: true })

  await vi.waitFor(() => expect(edge.watchersOf(sessionId)).toBe(0))
  expect(await client.refusal('unsubscribe', { subscriptionId })).toMatchObject({ code: 'NOT_FOUND' })
})

test('events of one connection are numbered without gaps', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client)

  await client.ask('prompt.submit', { sessionId, prompt: 'stream a b c d' })
  await client.event('stream.end')

  const numbers = client.frames.filter(({ type }) => type === 'event').map(({ seq }) => seq)
  expect(numbers).toEqual(numbers.map((_, index) => index))
})

test('a client that was away goes on exactly behind what it has, in the middle of a message', async () => {
  const { url, worker } = await startEdge()
  const first = await connectV2(url)
  const sessionId = await created(first)
  await first.event('session.created')
  await worker.append(sessionId, [{ type: 'task_executing', taskId: 't-1', task: {}, turn: 1 }])
  await worker.append(sessionId, [{ type: 'stream_start', messageId: 'm-1', metadata: { model: 'x' } }])
  await worker.flush(sessionId, 'm-1', 0, 'one ')
  const chunk = await first.event('stream.chunk')
  const start = await first.event('stream.start')
  await first.close()
  await worker.flush(sessionId, 'm-1', 4, 'two ')

  const second = await connectV2(url)
  const { messageId, offset, content, promptId } = chunk
  const from = { eventId: start.eventId, messageId, offset: offset + Buffer.byteLength(content), promptId }
  await second.ask('session.resume', { sessionId, from })
  await second.event('stream.chunk')
  await worker.flush(sessionId, 'm-1', 8, 'three')
  await worker.append(sessionId, [streamEnd('m-1', 'one two three')], { clearPart: true })
  const usage = { promptTokens: 1, completionTokens: 2, cost: 0, duration: 3 }
  await worker.append(sessionId, [
    { type: 'task_completed', taskId: 't-1', result: { success: true, output: 'x' }, usage },
  ])
  await second.event('stream.end')

  const texts = second.events().filter(({ event }) => event === 'stream.chunk')
  expect(texts.map(({ payload }) => [payload.offset, payload.content])).toEqual([
    [4, 'two '],
    [8, 'three'],
  ])
  expect(new Set(texts.map(({ payload }) => payload.promptId))).toEqual(new Set(['t-1']))
  // The stream had begun before: it does not begin again.
  expect(second.names()).not.toContain('stream.start')
})

test('whoever comes in the middle of a message hears that it has begun', async () => {
  const { url, worker } = await startEdge()
  const first = await connectV2(url)
  const sessionId = await created(first)
  await first.event('session.created')
  await worker.append(sessionId, [{ type: 'stream_start', messageId: 'm-1', metadata: { model: 'x' } }])
  await worker.flush(sessionId, 'm-1', 0, 'one ')
  await first.event('stream.chunk')

  const late = await connectV2(url)
  await late.ask('session.resume', { sessionId })

  expect(await late.event('stream.chunk')).toMatchObject({ content: 'one ', offset: 0, messageId: 'm-1' })
})

test('a place that is in no store is answered with a reset, whatever was subscribed to', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client, { subscribe: false })

  const from = { eventId: '7-999' }
  await client.ask('subscribe', { events: ['stream.*'], filter: { sessionId }, from })

  const reset = await client.event('session.status', (payload: Frame) => payload.reset === true)
  expect(reset).toMatchObject({ sessionId, reset: true, session: { id: sessionId }, eventId: expect.any(String) })
})

test('a slow client of this protocol is spared, and gets everything in the end', async () => {
  const { url } = await startEdge()
  const [client, other] = [await connectV2(url), await connectV2(url)]
  const sessionId = await created(client)
  await client.event('session.created')
  const texts = Array.from({ length: 12 }, (_, at) => `${at}-${'x'.repeat(150_000)} end`)
  client.socket.pause()

  for (const text of texts) await other.ask('prompt.submit', { sessionId, prompt: `stream ${text}` })
  await vi.waitFor(() => expect(ends(other)).toHaveLength(texts.length), { timeout: 25_000 })
  client.socket.resume()
  await vi.waitFor(() => expect(ends(client)).toHaveLength(texts.length), { timeout: 25_000 })

  expect(ends(client).map(({ payload }) => client.text(payload.promptId))).toEqual(texts)
})

test('every event of the log is told: nothing that happens is passed over', async () => {
  const { url, worker } = await startEdge()
  const client = await connectV2(url)
  const sessionId = await created(client)
  await client.event('session.created')
  const data = { sessionId, callId: 'c-1', toolName: 'bash', timestamp: 'now' }
  const resolved = { type: 'approval_resolved', taskId: 't', approvalId: 'a', callId: 'c-1', toolName: 'bash' } as const
  await worker.append(sessionId, [
    { type: 'tool_call_start', data: { ...data, toolInput: { command: 'ls' }, effect: 'once', status: 'started' } },
    { type: 'tool_call_result', data: { ...data, status: 'completed', result: { stdout: 'a' } } },
    { ...resolved, status: 'approved', decidedBy: 'alice' },
    { ...resolved, status: 'rejected', decidedBy: 'alice', comment: 'no' },
    { ...resolved, status: 'expired' },
    { type: 'session_takeover', taskId: 't', fromWorker: 'a', worker: 'b', attempt: 1, afterMs: 3 },
    { type: 'budget_alert', data: { alert: 'budget:exceeded', level: 'critical' } },
    { type: 'conversation_retold', reason: 'x' },
    { type: 'task_cancelled', taskId: 't', reason: 'stopped', usage: {} },
  ])
  await client.event('stream.error')

  const told = client.events().slice(1)
  expect(told.map(({ event, payload }) => [event, payload.status ?? payload.message ?? payload.error.message])).toEqual(
    [
      ['tool.status', 'started'],
      ['tool.result', 'completed'],
      ['tool.status', 'running'],
      ['tool.result', 'denied'],
      ['tool.result', 'timeout'],
      ['stream.progress', 'session takeover'],
      ['stream.progress', 'budget alert'],
      ['stream.progress', 'conversation retold'],
      ['stream.error', 'The prompt was cancelled: stopped'],
    ],
  )
  for (const { payload } of told) expect(payload).toMatchObject({ sessionId, eventId: expect.any(String) })
})
