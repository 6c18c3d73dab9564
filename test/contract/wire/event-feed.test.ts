/**
 * The protocol of the reference's docs/WEBSOCKET_API.md at /daemon/ws (row A-10).
 */
import { once } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { newNodeId } from '../../../src/protocol/ids.js'
import { AUTH, RawClient, startEdge, token, WIDE_LIMITS } from './edge-fixture.js'

const KEY = { key: 'a-key-of-at-least-thirty-two-characters', clientId: 'watcher' }

interface Feed extends RawClient {
  say(type: string, payload: object): void
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests are about.
  heard(type: string, fits?: (payload: any) => boolean): Promise<any>
}

async function openFeed(url: string): Promise<Feed> {
  const client = new RawClient(new WebSocket(`${url}/daemon/ws`))
  onTestFinished(() => client.socket.terminate())
  await once(client.socket, 'open')
  const say: Feed['say'] = (type, payload) =>
    client.send({ type, id: crypto.randomUUID(), timestamp: new Date().toISOString(), payload })
  const heard: Feed['heard'] = async (type, fits = () => true) =>
    (await client.next((frame) => frame.type === type && fits(frame.payload))).payload
  return Object.assign(client, { say, heard })
}

const ends = async (feed: Feed) => {
  await vi.waitFor(() => expect(feed.closed).toBeDefined(), { timeout: 20_000 })
  return feed.closed
}

async function authenticated(url: string, accessToken = 'any'): Promise<Feed> {
  const feed = await openFeed(url)
  feed.say('auth', { accessToken, daemonId: 'daemon_1' })
  await feed.heard('auth_success')
  return feed
}

test('A-10: a token opens the feed, and says what it may do', async () => {
  const { url } = await startEdge({ auth: AUTH, settings: { heartbeatIntervalMs: 30_000 } })
  const feed = await openFeed(url)

  feed.say('auth', { accessToken: await token({ scopes: ['sessions:read'] }), daemonId: 'd', orchestratorId: 'o' })

  expect(await feed.heard('auth_success')).toEqual({
    ...{ sessionId: expect.any(String), scopes: ['sessions:read'] },
    ...{ serverTime: expect.any(String), heartbeatIntervalMs: 30_000 },
  })
  expect(feed.frames[0]).toMatchObject({ id: expect.any(String), timestamp: expect.any(String) })
})

test.each([
  ['a bad token', async () => 'a.b.c', 'AUTH_FAILED', 4001],
  ['a token that is over', () => token({ exp: 1 }), 'TOKEN_EXPIRED', 4003],
  ['a token that may not look', () => token({ scopes: ['sessions:write'] }), 'INSUFFICIENT_SCOPE', 4005],
])('%s is answered, and the connection ends', async (_name, credential, word, code) => {
  const { url } = await startEdge({ auth: AUTH })
  const feed = await openFeed(url)

  feed.say('auth', { accessToken: await credential() })

  expect(await feed.heard('auth_error')).toMatchObject({ code: word, message: expect.any(String) })
  expect(await ends(feed)).toEqual({ code, reason: word })
})

test('whoever does something else first is sent away', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const [early, wrong] = [await openFeed(url), await openFeed(url)]

  early.say('subscribe', { eventTypes: ['*'] })
  wrong.send('hello?')

  expect(await early.heard('error')).toMatchObject({ code: 'NOT_AUTHENTICATED' })
  expect(await wrong.heard('error')).toMatchObject({ code: 'INVALID_MESSAGE' })
  expect([await ends(early), await ends(wrong)]).toMatchObject([{ code: 4001 }, { code: 4001 }])
})

test('one connection too many is said to be that', async () => {
  const limits = { ...WIDE_LIMITS, connections: { perPrincipal: 1, perEdge: 100 } }
  const { url } = await startEdge({ auth: AUTH, settings: { limits } })
  await authenticated(url, await token())
  const second = await openFeed(url)

  second.say('auth', { accessToken: await token() })

  expect(await second.heard('auth_error')).toMatchObject({ code: 'MAX_CONNECTIONS' })
  expect(await ends(second)).toMatchObject({ code: 4001 })
})

test('A-10: whoever says nothing, and whoever shows no life any more, is let go', async () => {
  const { url } = await startEdge({ auth: AUTH, settings: { heartbeatIntervalMs: 5_000 } })
  const accessToken = await token()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const [silent, alive] = [await openFeed(url), await openFeed(url)]
    alive.say('auth', { accessToken })
    await alive.heard('auth_success')
    // Waiting for what comes moves these timers on as well, by seconds on a busy machine.
    await vi.advanceTimersByTimeAsync(7_000)
    expect(silent.closed).toBeUndefined()
    alive.say('heartbeat', { status: 'active', metrics: { errors: 0 } })
    const { serverTime, nextHeartbeat } = await alive.heard('heartbeat_ack')
    expect(Date.parse(nextHeartbeat) - Date.parse(serverTime)).toBe(5_000)

    await vi.advanceTimersByTimeAsync(4_000)
    expect(await ends(silent)).toEqual({ code: 4002, reason: 'AUTH_TIMEOUT' })
    await vi.advanceTimersByTimeAsync(8_000)
    expect(alive.closed).toBeUndefined()
    await vi.advanceTimersByTimeAsync(4_000)
    expect(await ends(alive)).toEqual({ code: 4006, reason: 'SESSION_TERMINATED' })
  } finally {
    vi.useRealTimers()
  }
})

test('a session is a channel: what it is told and what it answers are messages, until they are acknowledged', async () => {
  const { url, client, worker } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  const feed = await authenticated(url)

  feed.say('subscribe', { eventTypes: ['message.received', 'message.sent'], channelIds: [sessionId] })
  await vi.waitFor(async () => {
    await raw.ask({ type: 'execute_task', payload: { sessionId, task: 'hello' } })
    expect(feed.frames.some(({ type }) => type === 'event')).toBe(true)
  })

  const sent = await feed.heard('event', ({ eventType }) => eventType === 'message.sent')
  expect(sent).toMatchObject({
    ...{ eventId: expect.any(String), requiresAck: true },
    data: { channelId: sessionId, content: 'hello', messageId: expect.any(String) },
  })
  expect(await feed.heard('event', ({ eventType }) => eventType === 'message.received')).toMatchObject({
    data: { channelId: sessionId, content: 'hello' },
  })
  feed.say('ack', { eventIds: [sent.eventId] })
  await raw.ask({ type: 'stop_session', payload: { sessionId } })
  feed.say('heartbeat', {})
  await feed.heard('heartbeat_ack')
  expect(feed.frames.some(({ payload }) => JSON.stringify(payload).includes('vp.status_changed'))).toBe(false)
  expect(worker.accepted.length).toBeGreaterThan(1)
})

test('without channels all sessions of the client are meant, of its orchestrator where it named one', async () => {
  const { url, client } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  const feed = await authenticated(url)

  feed.say('subscribe', { eventTypes: ['*'] })
  feed.say('heartbeat', {})
  await feed.heard('heartbeat_ack')
  await raw.ask({ type: 'stop_session', payload: { sessionId } })

  expect(await feed.heard('event', ({ eventType }) => eventType === 'channel.left')).toMatchObject({
    data: { channelId: sessionId, reason: 'terminated' },
  })
  expect(await feed.heard('event', ({ eventType }) => eventType === 'vp.status_changed')).toMatchObject({
    ...{ requiresAck: false, data: { status: 'terminated' } },
  })
})

test('after unsubscribe nothing of that kind is told', async () => {
  const { url, client } = await startEdge()
  const raw = await client()
  const sessionId = await raw.spawn()
  const feed = await authenticated(url)
  feed.say('subscribe', { eventTypes: ['message.sent', 'channel.left'], channelIds: [sessionId] })
  feed.say('unsubscribe', { eventTypes: ['message.sent'] })
  feed.say('heartbeat', {})
  await feed.heard('heartbeat_ack')

  await raw.ask({ type: 'execute_task', payload: { sessionId, task: 'hello' } })
  await raw.ask({ type: 'stop_session', payload: { sessionId } })
  await feed.heard('event', ({ eventType }) => eventType === 'channel.left')

  expect(JSON.stringify(feed.frames)).not.toContain('message.sent')
})

test('a session of somebody else is no channel, and wrong messages are said to be wrong', async () => {
  const { url, client } = await startEdge({ auth: AUTH })
  const owner = await client({ token: await token({ sub: 'bob' }) })
  const sessionId = await owner.spawn()
  const feed = await authenticated(url, await token({ sub: 'alice' }))

  feed.say('subscribe', { eventTypes: ['*'], channelIds: [sessionId] })
  expect(await feed.heard('error')).toMatchObject({
    ...{
      code: 'INVALID_MESSAGE',
      message: expect.stringContaining('Session not found'),
      details: { channelId: sessionId },
    },
  })
  feed.frames.length = 0
  feed.say('subscribe', { eventTypes: 'all' })
  expect(await feed.heard('error')).toMatchObject({ message: expect.stringContaining('eventTypes') })
  expect(feed.closed).toBeUndefined()
})

test('A-10: whoever’s secret or key is taken away hears AUTH_FAILED', async () => {
  const { url, edge } = await startEdge({ auth: { ...AUTH, apiKeys: [KEY] } })
  const [byToken, byKey] = [await authenticated(url, await token()), await authenticated(url, KEY.key)]

  await edge.reload({ ...AUTH, secret: 'another-secret-of-thirty-two-characters' })

  expect(await ends(byToken)).toEqual({ code: 4001, reason: 'jwt_signature_invalid' })
  expect(await ends(byKey)).toEqual({ code: 4001, reason: 'api_key_invalid' })
})

test('A-10: whoever has more connections on all edges than they may have hears RATE_LIMITED', async () => {
  const elsewhere = newNodeId('edge')
  const limits = { ...WIDE_LIMITS, connections: { perPrincipal: 10, perEdge: 100 } }
  const { url } = await startEdge({
    auth: AUTH,
    settings: { limits },
    others: () => [elsewhere],
    sharedLimits: {
      connections: { write: async () => new Map([[elsewhere, 10]]), exchangeFull: async () => [] },
      messages: { take: async (_name, wanted) => ({ granted: wanted, nextInMs: 0 }) },
    },
  })

  const feed = await authenticated(url, await token())

  expect(await ends(feed)).toEqual({ code: 4004, reason: 'connection_limit_exceeded' })
})

test('the limits of the principal hold, and are told with when to come again', async () => {
  const limits = { ...WIDE_LIMITS, messages: { max: 3, windowMs: 60_000 } }
  const { url } = await startEdge({ auth: AUTH, settings: { limits } })
  const feed = await authenticated(url, await token())

  for (let beat = 0; beat < 4; beat++) feed.say('heartbeat', {})

  expect(await feed.heard('rate_limit')).toMatchObject({ retryAfter: expect.any(Number) })
  expect(await feed.heard('error')).toMatchObject({ code: 'RATE_LIMITED' })
})

test('the end of a token and of an edge are told in the words of this protocol', async () => {
  const exp = Math.floor(Date.now() / 1000) + 5
  const { url, edge } = await startEdge({ auth: AUTH })
  const [short, long] = [await authenticated(url, await token({ exp })), await authenticated(url, await token())]

  expect(await ends(short)).toMatchObject({ code: 4003 })
  await edge.drain()

  expect(await long.heard('reconnect')).toMatchObject({ reason: 'Server shutting down', delay: expect.any(Number) })
  expect(await ends(long)).toMatchObject({ code: 1001 })
})
