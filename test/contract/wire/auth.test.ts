/**
 * Who may connect. With a secret, a valid token at one of its places and nothing else; without one, only this machine.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { SignJWT } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { Authenticator } from '../../../src/edge/auth.js'
import { isLocalRequest } from '../../../src/edge/loopback.js'
import { AUTH, SECRET, startEdge, token } from './edge-fixture.js'

const encoded = (value: string): string => Buffer.from(value).toString('base64url')
const key = new TextEncoder().encode(SECRET)

/** The answer to an upgrade: the status, and the body of a refusal. */
async function knock(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  const socket = new WebSocket(url, { headers })
  return new Promise((resolve) => {
    socket.on('error', () => undefined)
    socket.on('open', () => {
      socket.terminate()
      resolve({ status: 101, body: '' })
    })
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (data: Buffer) => {
        body += String(data)
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
  })
}

const bearer = (value: string): Record<string, string> => ({ authorization: `Bearer ${value}` })

/** A payload that no issuer would sign, signed all the same. */
const signed = (payload: string): Promise<string> => {
  const input = `${encoded('{"alg":"HS256"}')}.${encoded(payload)}`
  return crypto.subtle
    .importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    .then((hmac) => crypto.subtle.sign('HMAC', hmac, new TextEncoder().encode(input)))
    .then((signature) => `${input}.${Buffer.from(signature).toString('base64url')}`)
}

const now = (): number => Math.floor(Date.now() / 1000)

const REFUSALS: readonly [reason: string, make: () => string | Promise<string>][] = [
  ['jwt_malformed', () => 'no-token'],
  ['jwt_malformed', () => 'a.b.!'],
  ['jwt_header_invalid', () => `${encoded('no json')}.${encoded('{}')}.AAAA`],
  ['jwt_algorithm_unsupported', () => `${encoded('{"alg":"none"}')}.${encoded('{}')}.AAAA`],
  [
    'jwt_algorithm_unsupported',
    () => new SignJWT({}).setProtectedHeader({ alg: 'HS512' }).sign(new Uint8Array(64).fill(7)),
  ],
  ['jwt_signature_invalid', () => token({}, 'another-secret-of-thirty-two-characters')],
  ['jwt_payload_invalid', () => signed('no json')],
  ['jwt_payload_invalid', () => signed('[1]')],
  ['jwt_payload_schema_invalid', () => token({ sub: undefined })],
  ['jwt_payload_schema_invalid', () => token({ iat: 'yesterday' })],
  ['jwt_payload_schema_invalid', () => token({ claims: { tenant: 'not a tenant!' } })],
  ['jwt_payload_schema_invalid', () => token({ sub: 'a:b' })],
  ['jwt_payload_schema_invalid', () => token({ sub: 's'.repeat(257), claims: { tenant: 'acme' } })],
  ['jwt_payload_schema_invalid', () => token({ sub: 'a\u0000b', claims: { tenant: 'acme' } })],
  ['jwt_payload_schema_invalid', () => token({ sub: 'a\ud800', claims: { tenant: 'acme' } })],
  ['jwt_payload_schema_invalid', () => token({ claims: { role: 'superuser' } })],
  ['jwt_payload_schema_invalid', () => token({ claims: [] })],
  ['jwt_payload_schema_invalid', () => token({ scopes: 'sessions:read' })],
  ['jwt_expired', () => token({ exp: now() - 1 })],
  ['jwt_issuer_mismatch', () => token({ iss: 'somebody' })],
  ['jwt_audience_mismatch', () => token({ aud: 'something' })],
]

test.each(REFUSALS)('A-03, A-05: a token is refused with 401 and %s before the upgrade', async (reason, make) => {
  const { url } = await startEdge({ auth: AUTH })

  const answer = await knock(url, bearer(await make()))

  expect(answer).toEqual({ status: 401, body: JSON.stringify({ error: reason }) })
})

test('no credential, and a key where no keys are configured, are refused by name', async () => {
  const { url } = await startEdge({ auth: AUTH })

  expect(await knock(url)).toEqual({ status: 401, body: '{"error":"credentials_missing"}' })
  expect(await knock(url, { 'x-api-key': 'k'.repeat(40) })).toEqual({
    status: 401,
    body: '{"error":"api_key_invalid"}',
  })
  expect(await knock(`${url}/?apiKey=abc`)).toEqual({ status: 401, body: '{"error":"api_key_invalid"}' })
})

test('A-02: a token is taken from the header first, then from the address, and before any key', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const good = await token()

  expect((await knock(url, bearer(good))).status).toBe(101)
  expect((await knock(`${url}/some/path?token=${good}`)).status).toBe(101)
  expect((await knock(`${url}/?token=${good}`, { 'x-api-key': 'wrong' })).status).toBe(101)
  expect((await knock(`${url}/?token=${good}`, bearer('wrong'))).body).toBe('{"error":"jwt_malformed"}')
})

test('without a secret a page of another origin, a foreign host name and a forwarded peer are refused', async () => {
  const { url } = await startEdge()

  expect((await knock(url)).status).toBe(101)
  expect((await knock(url, { origin: 'http://localhost:3000' })).status).toBe(101)
  expect((await knock(url, { origin: 'https://evil.example' })).status).toBe(401)
  expect((await knock(url, { origin: 'null' })).status).toBe(401)
  expect((await knock(url, { origin: 'http://localhost.evil.example' })).status).toBe(401)
  expect((await knock(url, { host: 'rebound.example' })).status).toBe(401)
  expect((await knock(url, { 'x-forwarded-for': '10.0.0.9' })).status).toBe(401)
})

describe('a request counts as local', () => {
  const local = { peer: new Uint8Array([127, 0, 0, 1]), origin: '', host: '127.0.0.1:8787', forwarded: false }
  const v6 = new Uint8Array(16)
  v6[15] = 1
  const mapped = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1])
  const mappedForeign = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1])

  test.each([
    ['127.0.0.1', local, true],
    ['::1', { ...local, peer: v6, host: '[::1]:8787' }, true],
    ['127.0.0.1 as IPv6', { ...local, peer: mapped }, true],
    ['10.0.0.1 as IPv6', { ...local, peer: mappedForeign }, false],
    ['another machine', { ...local, peer: new Uint8Array([10, 0, 0, 1]) }, false],
    ['the unspecified address', { ...local, peer: new Uint8Array(16) }, false],
    ['no host', { ...local, host: '' }, false],
    ['an origin with a user name', { ...local, origin: 'http://localhost@evil.example' }, false],
  ])('from %s: %o → %s', (_name, about, expected) => {
    expect(isLocalRequest(about)).toBe(expected)
  })
})

test('A-01: an empty secret is a mistake and not an open door', () => {
  expect(() => new Authenticator({ ...AUTH, secret: '' })).toThrow('the token secret is empty')
})

test('A-06: a connection ends with 4001 when its token expires, without the client saying anything', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const raw = await client({ token: await token({ exp: now() + 5 }) })

  await vi.waitFor(() => expect(raw.closed).toEqual({ code: 4001, reason: 'Token expired' }), { timeout: 20_000 })

  expect(raw.frames).toMatchObject([{ type: 'error', error: 'token_expired', code: 'token_expired' }])
})

test('W-20: a refreshed token connects, and lengthens the connection that asked', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const exp = now() + 5
  const raw = await client({ token: await token({ exp, claims: { tenant: 'acme' } }) })

  const refreshed = await raw.ask({ type: 'token_refresh' })
  const again = await client({ token: String(refreshed.token) })
  await vi.waitUntil(() => Date.now() > exp * 1_000 + 200)

  expect(refreshed).toMatchObject({ type: 'token_refreshed', expiresAt: expect.stringMatching(/^20.*Z$/) })
  expect(await raw.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  expect(await again.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test('a read-only credential may look and not touch', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const raw = await client({ token: await token({ claims: { role: 'readonly' } }) })

  expect(await raw.ask({ type: 'list_sessions' })).toMatchObject({ type: 'sessions_list' })
  expect(await raw.ask({ type: 'spawn_session', payload: { task: 'x' } })).toMatchObject({ code: 'forbidden' })
})

test('W-19: a credential inside a message is judged and changes nothing', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const raw = await client({ token: await token() })

  expect(await raw.ask({ type: 'ping', auth: { token: 'wrong' } })).toMatchObject({ code: 'jwt_malformed' })
  expect(await raw.ask({ type: 'ping', auth: { token: await token({ sub: 'bob' }) } })).toMatchObject({ type: 'pong' })
})

test('W-51: two tenants do not see each other’s sessions, not even that they exist', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const alice = await client({ token: await token({ sub: 'alice' }) })
  const bob = await client({ token: await token({ sub: 'bob' }) })
  const sessionId = await alice.spawn({ task: { id: 'task-1', description: 'wait' } })
  const own = await bob.spawn({ task: { id: 'task-1', description: 'wait' } })

  const verbs = ['session_status', 'stop_session', 'pause_session', 'cancel_task', 'subscribe', 'unsubscribe']
  for (const type of verbs) {
    expect(await bob.ask({ type, payload: { sessionId } }), type).toMatchObject({
      error: `Session not found: ${sessionId}`,
      code: 'session_not_found',
    })
  }
  const task = await bob.ask({ type: 'execute_task', payload: { sessionId, task: 'mine now' } })
  const list = await bob.ask({ type: 'list_sessions' })

  expect(task).toMatchObject({ code: 'session_not_found' })
  expect(list).toMatchObject({ sessions: [{ id: own }] })
  expect(bob.eventIds(sessionId)).toEqual([])
  expect(own).not.toBe(sessionId)
})

test('H-07: the health check answers whoever sends a key, right or wrong', async () => {
  const key = 'a-key-of-at-least-thirty-two-characters'
  const { edge } = await startEdge({ auth: { ...AUTH, apiKeys: [{ key, clientId: 'monitor' }] } })

  for (const headers of [{ 'x-api-key': key }, { 'x-api-key': 'another' }, { authorization: 'Bearer another' }]) {
    const health = await fetch(`http://127.0.0.1:${edge.port}/health`, { headers })
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'healthy' }])
  }
})

test('H-01: the health check needs no credential, and other paths are not found', async () => {
  const { edge } = await startEdge({ auth: AUTH })
  const base = `http://127.0.0.1:${edge.port}`

  const health = await fetch(`${base}/health`)
  const other = await fetch(`${base}/api`)

  expect(health.status).toBe(200)
  expect(await health.json()).toEqual({
    status: 'healthy',
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  })
  expect([other.status, await other.text()]).toEqual([404, 'Not Found'])
})

test('a client that hangs up while its token is judged leaves nothing behind', async () => {
  const { edge } = await startEdge({ auth: AUTH })
  const good = await token()

  for (let round = 0; round < 20; round++) {
    const socket = connect(edge.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(upgradeWith(good))
    setImmediate(() => socket.destroy())
    await once(socket, 'close')
  }

  await expect.poll(() => edge.connections).toBe(0)
  expect((await fetch(`http://127.0.0.1:${edge.port}/health`)).status).toBe(200)
})

const upgradeWith = (value: string): string =>
  [
    'GET / HTTP/1.1',
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    `Authorization: Bearer ${value}`,
    '\r\n',
  ].join('\r\n')
