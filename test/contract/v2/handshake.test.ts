/**
 * Row V2, how it begins: `auth.connect` agrees on the version, tells who it is, and is answered with hello.
 */
import { expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { METHOD_NAMES } from '../../../src/protocol/v2/methods.js'
import { AUTH, startEdge, token, WIDE_LIMITS } from '../wire/edge-fixture.js'
import { CLIENT, connectParams, connectV2, openV2 } from './v2-fixture.js'

const KEY = 'k'.repeat(32)
const KEYS = { ...AUTH, apiKeys: [{ key: KEY, clientId: 'web', role: 'user' as const }] }

test('V2: hello tells the version, all methods and events, and the limits that hold', async () => {
  const { url } = await startEdge({ settings: { maxPayloadBytes: 65_536, heartbeatIntervalMs: 40_000 } })
  const client = await openV2(url)

  const hello = await client.connect(connectParams())

  expect(hello).toEqual({
    ...{ type: 'hello', protocol: 2, connectionId: expect.stringMatching(/^conn_/) },
    server: {
      version: '2.0.0',
      capabilities: expect.arrayContaining(['streaming', 'tool-approval', 'teams', 'binary']),
    },
    methods: METHOD_NAMES,
    events: expect.arrayContaining([
      'stream.chunk',
      'tool.request',
      'agent.spawned',
      'team.message',
      'health.heartbeat',
    ]),
    policy: {
      ...{ maxPayloadBytes: 65_536, heartbeatIntervalMs: 40_000, heartbeatTimeoutMs: 80_000 },
      maxBufferedBytes: expect.any(Number),
    },
    auth: { scopes: ['daemon.admin', 'daemon.read', 'daemon.write', 'daemon.approve', 'daemon.teams'] },
  })
})

test('the same socket speaks the first protocol until a client begins the second one', async () => {
  const { url } = await startEdge()
  const client = await openV2(url)
  await client.next((frame) => frame.type === 'health_check_response')
  client.send({ type: 'ping', requestId: 'one' })
  expect(await client.next((frame) => frame.requestId === 'one')).toEqual({ type: 'pong', requestId: 'one' })

  await client.connect(connectParams())

  client.send({ type: 'ping', requestId: 'two' })
  expect(await client.next((frame) => frame.type === 'res' && !frame.ok)).toMatchObject({
    error: { code: 'INVALID_REQUEST', retryable: false },
  })
})

test('requests before the handshake belong to no protocol', async () => {
  const { url } = await startEdge()
  const client = await openV2(url)

  client.send({ type: 'req', id: '1', method: 'session.list' })

  expect(await client.next((frame) => frame.type === 'error')).toMatchObject({ error: 'Unknown message type' })
})

test.each([
  ['a key', async () => ({ type: 'api-key', token: KEY }), 'web'],
  ['a token', async () => ({ type: 'jwt', token: await token() }), 'alice'],
  ['a token that is called a key', async () => ({ type: 'api-key', token: await token() }), 'alice'],
])('at its own path %s in the first frame opens the door', async (_name, credential, owner) => {
  const { url, rows } = await startEdge({ auth: KEYS })
  const client = await openV2(`${url}/v2`)

  await client.connect(connectParams('', { auth: await credential() }))

  const { id } = await client.ask('session.create', { task: { description: 'hi' }, sessionType: 'echo' })
  expect(rows.rows.get(id)?.owner).toBe(owner)
  expect(client.frames[0]).toMatchObject({ type: 'res', ok: true })
})

test.each([
  ['no handshake', { type: 'req', id: '1', method: 'session.list' }, 1008, 'INVALID_REQUEST', '1'],
  ['a frame of the first protocol', { type: 'ping', id: '1' }, 1008, 'INVALID_REQUEST', '1'],
  ['no JSON', 'hello?', 1008, 'INVALID_REQUEST', 'invalid'],
  ['a handshake without a client', { ...connecting(), params: { minProtocol: 2 } }, 1008, 'INVALID_REQUEST', '1'],
  ['a scope that is none', connecting({ scopes: ['daemon.god'] }), 1008, 'INVALID_REQUEST', '1'],
  ['an older version', connecting({ minProtocol: 1, maxProtocol: 1 }), 1002, 'PROTOCOL_MISMATCH', '1'],
  ['a newer version', connecting({ minProtocol: 3, maxProtocol: 4 }), 1002, 'PROTOCOL_MISMATCH', '1'],
  ['a wrong key', connecting({ auth: { type: 'api-key', token: 'wrong' } }), 1008, 'UNAUTHORIZED', '1'],
  ['a wrong token', connecting({ auth: { type: 'jwt', token: 'a.b.c' } }), 1008, 'UNAUTHORIZED', '1'],
])('%s is answered, and the connection ends', async (_name, frame, code, word, id) => {
  const { url } = await startEdge({ auth: KEYS })
  const client = await openV2(`${url}/v2`)

  client.send(frame)

  expect(await client.next(({ type }) => type === 'res')).toMatchObject({ id, ok: false, error: { code: word } })
  expect((await client.end()).code).toBe(code)
  expect(client.frames).toHaveLength(1)
})

function connecting(more: object = {}) {
  return { type: 'req', id: '1', method: 'auth.connect', params: connectParams(KEY, more) }
}

test('elsewhere a credential is asked for before, as ever', async () => {
  const { url } = await startEdge({ auth: KEYS })
  const status = await new Promise((resolve) => {
    new WebSocket(url)
      .on('unexpected-response', (_request, response) => resolve(response.statusCode))
      .on('error', () => {})
  })

  expect(status).toBe(401)
})

test('nobody from elsewhere comes in where only this machine may', async () => {
  const { url } = await startEdge()
  const socket = new WebSocket(`${url}/v2`, { headers: { origin: 'https://evil.example' } })
  const status = await new Promise((resolve) => {
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode)).on('error', () => {})
  })

  expect(status).toBe(401)
})

test('who showed a credential before may show another one of its own, but cannot become somebody else', async () => {
  const { url } = await startEdge({ auth: KEYS })
  const authorization = `Bearer ${await token()}`
  const [same, other] = [await openV2(url, { authorization }), await openV2(url, { authorization })]

  expect(await same.connect(connectParams(await token({ scopes: ['sessions:read'] })))).toMatchObject({
    auth: { scopes: ['daemon.read'], expiresAtMs: expect.any(Number) },
  })
  other.send(connecting())

  expect(await other.next(({ type }) => type === 'res')).toMatchObject({ error: { code: 'FORBIDDEN' } })
  expect((await other.end()).code).toBe(1008)
})

test('a connection has the scopes that it asks for, of those that its credential allows', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const of = async (claims: object, scopes?: string[]) =>
    (await connectV2(`${url}/v2`, connectParams(await token({ claims }), { ...(scopes && { scopes }) }))).hello.auth
      .scopes

  expect(await of({ role: 'user' })).toEqual(['daemon.read', 'daemon.write', 'daemon.approve', 'daemon.teams'])
  expect(await of({ role: 'user' }, ['daemon.admin'])).not.toContain('daemon.admin')
  expect(await of({ role: 'admin' }, ['daemon.read', 'daemon.write'])).toEqual(['daemon.read', 'daemon.write'])
  expect(await of({ role: 'readonly' }, ['daemon.write'])).toEqual(['daemon.read'])
})

test('a second handshake is refused, and the connection is kept', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  expect(await client.refusal('auth.connect', connectParams())).toMatchObject({ code: 'INVALID_REQUEST' })

  expect(await client.ask('health.ping', { clientTimestamp: 7 })).toMatchObject({ clientTimestamp: 7 })
})

test('logout is answered and ends the connection', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  expect(await client.ask('auth.logout', { reason: 'done' })).toEqual({ ok: true })

  expect(await client.end()).toEqual({ code: 1000, reason: 'logout' })
})

test('a connection ends with its token, unless that is renewed with a newer one or by the service', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const exp = Math.floor(Date.now() / 1000) + 5
  const [ends, stays, renews] = await Promise.all(
    [1, 2, 3].map(async () => connectV2(`${url}/v2`, connectParams(await token({ exp })))),
  )
  if (!ends || !stays || !renews) throw new Error('three are connected')

  const newer = await stays.ask('auth.refresh', { token: await token() })
  const made = await renews.ask('auth.refresh')

  expect(newer).toMatchObject({ scopes: expect.any(Array), expiresAtMs: expect.any(Number) })
  expect(newer.expiresAtMs).toBeGreaterThan((exp + 60) * 1000)
  expect(made).toMatchObject({ token: expect.stringMatching(/\..+\./), expiresAtMs: expect.any(Number) })
  expect(await ends.end()).toEqual({ code: 4001, reason: 'Token expired' })
  expect(ends.frames.at(-1)).toMatchObject({
    event: 'error',
    payload: { code: 'UNAUTHORIZED', message: 'token_expired' },
  })
  expect(await stays.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
  expect(await renews.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
  expect(await stays.refusal('auth.refresh', { token: await token({ sub: 'bob' }) })).toMatchObject({
    code: 'FORBIDDEN',
  })
  expect(await stays.refusal('auth.refresh', { token: await token({ exp: 1 }) })).toMatchObject({
    ...{ code: 'UNAUTHORIZED', message: 'jwt_expired' },
  })
})

test('whoever comes by the late door is counted from the handshake on', async () => {
  const limits = { ...WIDE_LIMITS, connections: { perPrincipal: 1, perEdge: 100 } }
  const { url } = await startEdge({ auth: AUTH, settings: { limits } })
  const params = connectParams(await token())
  const first = await connectV2(`${url}/v2`, params)
  const second = await openV2(`${url}/v2`)
  second.send({ type: 'req', id: '1', method: 'auth.connect', params })

  expect(await second.next(({ type }) => type === 'res')).toMatchObject({
    error: { code: 'RATE_LIMITED', message: 'connection_limit_exceeded', retryable: true },
  })
  await second.end()
  await first.close()
  await vi.waitFor(async () => expect((await connectV2(`${url}/v2`, params)).hello.protocol).toBe(2))
})

test('whoever says nothing is not waited for', async () => {
  const { url } = await startEdge({ auth: AUTH })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const client = await openV2(`${url}/v2`)
    await vi.advanceTimersByTimeAsync(9_000)
    expect(client.closed).toBeUndefined()
    await vi.advanceTimersByTimeAsync(1_001)
    vi.useRealTimers()

    expect(await client.end()).toEqual({ code: 1008, reason: 'authentication_timeout' })
    expect(client.frames[0]).toMatchObject({ type: 'res', id: 'invalid', error: { code: 'UNAUTHORIZED' } })
  } finally {
    vi.useRealTimers()
  }
})

test('the client is told that the server is there', async () => {
  const { url } = await startEdge({ settings: { heartbeatIntervalMs: 1_000 } })
  const client = await connectV2(url, connectParams('x', { client: CLIENT }))

  const beat = await client.next(({ event }) => event === 'health.heartbeat')

  expect(beat).toMatchObject({
    type: 'event',
    payload: { serverTimestamp: expect.any(Number), seq: expect.any(Number) },
  })
})
