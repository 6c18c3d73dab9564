/**
 * API keys: where they are looked for, what they stand for, and which kind of credential a mode lets in.
 */
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { Authenticator } from '../../../src/edge/auth.js'
import type { AuthSettings } from '../../../src/edge/settings.js'
import { AUTH, startEdge, token } from './edge-fixture.js'

const CI_KEY = 'ci-key-of-at-least-thirty-two-characters'
const WATCH_KEY = 'watch-key-of-at-least-thirty-two-characters'
const KEYS: AuthSettings['apiKeys'] = [
  { key: CI_KEY, clientId: 'ci' },
  { key: WATCH_KEY, clientId: 'watcher', role: 'readonly' },
]
const withKeys = (more: Partial<AuthSettings> = {}): AuthSettings => ({ ...AUTH, apiKeys: KEYS, ...more })

/** The reason of a refusal, or `in`. */
async function knock(url: string, headers: Record<string, string> = {}): Promise<string> {
  const socket = new WebSocket(url, { headers })
  return new Promise((resolve) => {
    socket.on('error', () => undefined)
    socket.on('open', () => {
      socket.terminate()
      resolve('in')
    })
    socket.on('unexpected-response', (_request, response) => {
      response.on('data', (data: Buffer) => resolve(String((JSON.parse(String(data)) as { error: string }).error)))
    })
  })
}

test('A-04: a key opens the door from the header and from the address, and a wrong one is named', async () => {
  const { url } = await startEdge({ auth: withKeys() })

  expect(await knock(url, { 'x-api-key': CI_KEY })).toBe('in')
  expect(await knock(`${url}/?apiKey=${WATCH_KEY}`)).toBe('in')
  expect(await knock(url, { 'x-api-key': `${CI_KEY}x` })).toBe('api_key_invalid')
  expect(await knock(`${url}/?apiKey=${CI_KEY}`, { 'x-api-key': 'wrong' })).toBe('api_key_invalid')
  expect(await knock(url)).toBe('credentials_missing')
})

test('A-02: a token takes precedence over a key, for good and for bad', async () => {
  const { url } = await startEdge({ auth: withKeys() })

  expect(await knock(`${url}/?token=${await token()}`, { 'x-api-key': 'wrong' })).toBe('in')
  expect(await knock(`${url}/?token=wrong`, { 'x-api-key': CI_KEY })).toBe('jwt_malformed')
})

test('a credential of a kind that the mode excludes counts as none', async () => {
  const tokens = await startEdge({ auth: withKeys({ mode: 'jwt' }) })
  const keys = await startEdge({ auth: withKeys({ mode: 'api-key' }) })
  const good = await token()

  expect(await knock(tokens.url, { 'x-api-key': CI_KEY })).toBe('credentials_missing')
  expect(await knock(`${tokens.url}/?token=${good}`)).toBe('in')
  expect(await knock(`${keys.url}/?token=${good}`)).toBe('credentials_missing')
  expect(await knock(`${keys.url}/?token=${good}`, { 'x-api-key': CI_KEY })).toBe('in')
})

test('keys without a token secret close the door, and no token is good', async () => {
  const { url } = await startEdge({ auth: withKeys({ secret: undefined }) })

  expect(await knock(url)).toBe('credentials_missing')
  expect(await knock(url, { authorization: `Bearer ${await token()}` })).toBe('jwt_signature_invalid')
  expect(await knock(url, { 'x-api-key': CI_KEY })).toBe('in')
})

test('a key is a tenant of its own, with the role it was given', async () => {
  const { client } = await startEdge({ auth: withKeys() })
  const ci = await client({ headers: { 'x-api-key': CI_KEY } })
  const watcher = await client({ headers: { 'x-api-key': WATCH_KEY } })

  const sessionId = await ci.spawn()

  expect(await ci.ask({ type: 'list_sessions' })).toMatchObject({ sessions: [{ id: sessionId }] })
  expect(await watcher.ask({ type: 'list_sessions' })).toMatchObject({ sessions: [] })
  expect(await watcher.ask({ type: 'spawn_session', payload: { task: 'x' } })).toMatchObject({ code: 'forbidden' })
})

test('no token is made from a key: it would outlive it', async () => {
  const { client } = await startEdge({ auth: withKeys() })
  const ci = await client({ headers: { 'x-api-key': CI_KEY } })

  expect(await ci.ask({ type: 'token_refresh' })).toMatchObject({ code: 'unavailable' })
})

test('A-04: a client on this machine is an administrator where that is allowed, unless it shows something wrong', async () => {
  const { url, client } = await startEdge({ auth: withKeys({ allowLoopback: true }) })

  expect(await (await client()).ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  expect(await knock(url, { authorization: 'Bearer wrong' })).toBe('jwt_malformed')
  expect(await knock(url, { 'x-api-key': 'wrong' })).toBe('api_key_invalid')
  expect(await knock(url, { origin: 'https://evil.example' })).toBe('credentials_missing')
  expect(await knock(url, { host: 'rebound.example' })).toBe('credentials_missing')
  expect(await knock(url, { 'x-forwarded-for': '10.0.0.1' })).toBe('credentials_missing')
})

test('W-19: a key inside a message is judged and changes nothing', async () => {
  const { client } = await startEdge({ auth: withKeys() })
  const ci = await client({ headers: { 'x-api-key': CI_KEY } })

  const wrong = await ci.ask({ type: 'spawn_session', payload: { task: 'x' }, auth: { apiKey: 'wrong' } })
  const other = await ci.ask({ type: 'spawn_session', payload: { task: 'x' }, auth: { apiKey: WATCH_KEY } })

  expect(wrong).toMatchObject({ type: 'error', code: 'api_key_invalid' })
  expect(other, 'the connection is still the one of ci, which may').toMatchObject({ type: 'session_spawned' })
})

test('a client id that cannot be a tenant stops the start, and the message keeps the key', () => {
  const make = () => new Authenticator(withKeys({ apiKeys: [{ key: CI_KEY, clientId: 'a:b' }] }))

  expect(make).toThrow(/"a:b"/)
  expect(make).not.toThrow(new RegExp(CI_KEY))
})
