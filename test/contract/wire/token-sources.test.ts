/**
 * Whose tokens are good: secrets before and after a rotation, and another issuer whose public keys are fetched. Each source
 * has algorithms, an issuer and an audience of its own.
 */
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, type JWK, SignJWT } from 'jose'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Authenticator } from '../../../src/edge/auth.js'
import { RemoteKeys, type RemoteKeyTimes } from '../../../src/edge/remote-keys.js'
import type { AuthSettings } from '../../../src/edge/settings.js'
import { AUTH, SECRET, startEdge, token } from './edge-fixture.js'

const ISSUER = 'https://login.example.com/'
const AUDIENCE = 'agents'
const NEWER = 'a-newer-secret-of-at-least-thirty-two-characters'
const ALL = ['RS256', 'ES256', 'EdDSA'] as const
const PATIENCE = { timeout: 15_000, interval: 10 } as const
type Algorithm = (typeof ALL)[number]

const PAIRS: Readonly<Record<Algorithm, { publicKey: KeyObject; privateKey: KeyObject }>> = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2_048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
}

const jwkOf = async (alg: Algorithm, more: JWK = {}): Promise<JWK> => ({
  ...(await exportJWK(PAIRS[alg].publicKey)),
  kid: `${alg}-key`,
  ...more,
})

/** A server of keys, whose answer can be changed. */
async function issuer(keys: readonly JWK[]) {
  const state = { keys, requests: 0, status: 200, silent: false, body: undefined as string | undefined }
  const server = createServer((_request, response) => {
    state.requests += 1
    if (state.silent) return
    const body = state.body ?? JSON.stringify({ keys: state.keys })
    response.writeHead(state.status, { 'content-type': 'application/json' }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, server }
}

function foreign(alg: Algorithm, claims: Record<string, unknown> = {}, header: { kid?: string } = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ sub: 'alice', iss: ISSUER, aud: AUDIENCE, iat: now, exp: now + 3_600, ...claims })
    .setProtectedHeader({ alg, kid: `${alg}-key`, ...header })
    .sign(PAIRS[alg].privateKey)
}

const settingsWith = (url: string, algorithms: readonly Algorithm[] = ALL): AuthSettings => ({
  ...AUTH,
  remote: { url, algorithms, issuer: ISSUER, audience: AUDIENCE },
})

const log = { info: vi.fn(), warn: vi.fn() }

async function authenticatorFor(settings: AuthSettings): Promise<Authenticator> {
  const authenticator = new Authenticator(settings, log)
  onTestFinished(() => authenticator.stop())
  await authenticator.start()
  return authenticator
}

async function remoteKeys(url: string, times: Partial<RemoteKeyTimes>, trace = log): Promise<RemoteKeys> {
  const keys = new RemoteKeys({ url, algorithms: ALL }, trace, times)
  onTestFinished(() => keys.stop())
  await keys.start()
  return keys
}

/** `alice`, or why not. */
function judged(authenticator: Authenticator, value: string): string {
  const verdict = authenticator.verify({ token: value })
  return verdict.ok ? verdict.principal.subject : verdict.reason
}

test('tokens of the secret before are good after a rotation, and new ones are signed with the present one', async () => {
  const authenticator = await authenticatorFor({ ...AUTH, secret: NEWER, previousSecrets: [SECRET] })
  const verdict = authenticator.verify({ token: await token() })

  const renewed = verdict.ok ? await authenticator.issueToken(verdict.principal) : undefined

  expect(verdict).toMatchObject({ ok: true, principal: { subject: 'alice' } })
  const after = await authenticatorFor({ ...AUTH, secret: NEWER })
  expect(judged(after, renewed?.token ?? '')).toBe('alice')
  expect(judged(after, await token())).toBe('jwt_signature_invalid')
})

test('an empty secret from before is a mistake and not an open door', () => {
  expect(() => new Authenticator({ ...AUTH, previousSecrets: [''] })).toThrow('the token secret is empty')
})

test('settings that are taken up anew count at once, and wrong ones change nothing', async () => {
  const { edge, url } = await startEdge({ auth: AUTH })
  const status = async (value: string) =>
    (await fetch(`${url.replace('ws', 'http')}/api/whoami`, { headers: { authorization: `Bearer ${value}` } })).status
  const [before, after] = [await token(), await token({}, NEWER)]

  const first = [await status(before), await status(after)]
  await edge.reload({ ...AUTH, secret: NEWER })
  await expect(edge.reload({ ...AUTH, secret: '' })).rejects.toThrow('the token secret is empty')

  expect(first).toEqual([200, 401])
  expect([await status(before), await status(after)]).toEqual([401, 200])
})

test('a secret that is taken away ends the connections of its tokens, but for those that have a newer one', async () => {
  const { edge, client } = await startEdge({ auth: AUTH })
  const [old, renewed] = [await client({ token: await token() }), await client({ token: await token() })]
  await edge.reload({ ...AUTH, secret: NEWER, previousSecrets: [SECRET] })
  await renewed.ask({ type: 'token_refresh' })
  expect(await old.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })

  await edge.reload({ ...AUTH, secret: NEWER })

  await vi.waitFor(() => expect(old.closed).toEqual({ code: 1008, reason: 'jwt_signature_invalid' }), PATIENCE)
  expect(await renewed.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test('an API key that is taken away, or gets another role, ends its connections, and one that is exchanged does not', async () => {
  const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(40)) as [string, string, string]
  const keys = [
    { key: one, clientId: 'gone' },
    { key: two, clientId: 'lowered' },
    { key: three, clientId: 'exchanged' },
  ]
  const { edge, client } = await startEdge({ auth: { ...AUTH, apiKeys: keys } })
  const raws = await Promise.all(keys.map(({ key }) => client({ headers: { 'x-api-key': key } })))
  const token1 = await client({ token: await token() })

  const apiKeys = [
    { key: two, clientId: 'lowered', role: 'readonly' as const },
    { key: '4'.repeat(40), clientId: 'exchanged' },
  ]
  await edge.reload({ ...AUTH, apiKeys })

  const closed = { code: 1008, reason: 'api_key_invalid' }
  await vi.waitFor(() => expect(raws.map((raw) => raw.closed)).toEqual([closed, closed, undefined]), PATIENCE)
  expect(await raws[2]?.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  expect(await token1.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test.each(ALL)(
  'a token that another issuer has signed with %s opens the door, with its tenant, role and scopes',
  async (alg) => {
    const { url } = await issuer([await jwkOf(alg)])
    const { client } = await startEdge({ auth: settingsWith(url) })

    const raw = await client({
      token: await foreign(alg, { claims: { tenant: 'acme', role: 'readonly' }, scopes: ['daemon:read'] }),
    })

    expect(await raw.ask({ type: 'daemon_status' })).toMatchObject({ type: 'daemon_status_response' })
    expect(await raw.ask({ type: 'list_sessions' })).toMatchObject({ code: 'forbidden' })
  },
)

test('a source accepts neither the algorithms, nor the issuer, nor the audience, nor the keys of another', async () => {
  const { url } = await issuer([await jwkOf('RS256'), await jwkOf('ES256')])
  const authenticator = await authenticatorFor(settingsWith(url, ['RS256']))
  const pem = PAIRS.RS256.publicKey.export({ type: 'spki', format: 'pem' })
  const jwk = JSON.stringify(await jwkOf('RS256'))
  const now = Math.floor(Date.now() / 1000)
  const payload = { sub: 'alice', iss: AUTH.issuer, aud: AUTH.audience, iat: now, exp: now + 60 }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  /** The classic one: the public key, which everybody knows, taken for a secret. */
  const confused = (header: object, key: string | Buffer, claims: object = payload) => {
    const input = `${part(header)}.${part(claims)}`
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const neolith = { type: 'access', daemonId: 'd', orchestratorId: 'alice', iat: now, exp: now + 60 }
  const signedNeolith = new SignJWT(neolith).setProtectedHeader({ alg: 'RS256', kid: 'RS256-key' })

  expect(judged(authenticator, await foreign('RS256'))).toBe('alice')
  const attempts: readonly (readonly [string, string])[] = [
    ['jwt_algorithm_unsupported', await foreign('ES256')],
    ['jwt_algorithm_unsupported', await foreign('EdDSA')],
    ['jwt_signature_invalid', confused({ alg: 'HS256', kid: 'RS256-key' }, pem)],
    ['jwt_signature_invalid', confused({ alg: 'HS256', kid: 'RS256-key' }, jwk)],
    ['jwt_signature_invalid', confused({ alg: 'HS256' }, '')],
    ['jwt_algorithm_unsupported', `${part({ alg: 'none' })}.${part(payload)}.AA`],
    ['jwt_algorithm_unsupported', confused({ alg: 'PS256', kid: 'RS256-key' }, pem)],
    ['jwt_signature_invalid', confused({ alg: 'RS256', kid: 'RS256-key' }, SECRET)],
    ['jwt_header_invalid', confused({ alg: 'RS256', kid: ['RS256-key'] }, SECRET)],
    ['jwt_header_invalid', confused({ alg: 'HS256', crit: ['b64'], b64: false }, SECRET)],
    ['jwt_issuer_mismatch', await foreign('RS256', { iss: AUTH.issuer })],
    ['jwt_audience_mismatch', await foreign('RS256', { aud: AUTH.audience })],
    ['jwt_issuer_mismatch', await token({ iss: ISSUER })],
    ['jwt_audience_mismatch', await token({ aud: AUDIENCE })],
    ['jwt_payload_schema_invalid', await signedNeolith.sign(PAIRS.RS256.privateKey)],
    ['jwt_not_yet_valid', await foreign('RS256', { nbf: now + 600 })],
    ['jwt_expired', await foreign('RS256', { exp: now - 1 })],
  ]
  expect(attempts.map(([, value]) => judged(authenticator, value))).toEqual(attempts.map(([reason]) => reason))
})

test('keys that are for something else, too short, private or unknown are not used', async () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const { url } = await issuer([
    await jwkOf('RS256', { kid: 'encrypts', use: 'enc' }),
    await jwkOf('RS256', { kid: 'signs', key_ops: ['sign'] }),
    await jwkOf('RS256', { kid: 'pinned', alg: 'PS256' }),
    { ...(await exportJWK(short.publicKey)), kid: 'short' },
    { ...(await exportJWK(p384.publicKey)), kid: 'p384' },
    { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'secret' },
    { kty: 'new', kid: 'unknown' } as JWK,
    await jwkOf('EdDSA', { kid: 'good' }),
  ])
  const keys = await remoteKeys(url, {})

  const names = ['encrypts', 'signs', 'pinned', 'short', 'p384', 'secret', 'unknown']
  expect(names.flatMap((name) => ALL.map((alg) => keys.find(alg, name)))).toEqual(Array(21).fill('unknown'))
  expect(keys.find('EdDSA', 'good')).toMatchObject({ asymmetricKeyType: 'ed25519' })
  expect(keys.find('RS256', 'good'), 'a key is good for its own algorithm').toBe('unknown')
})

test('a token without a key id is checked with the only key of its algorithm, and refused where there are two', async () => {
  const one = await remoteKeys((await issuer([await jwkOf('ES256'), await jwkOf('EdDSA')])).url, {})
  const two = await remoteKeys((await issuer([await jwkOf('ES256'), await jwkOf('ES256', { kid: 'b' })])).url, {})

  expect(one.find('ES256', undefined)).toMatchObject({ asymmetricKeyType: 'ec' })
  expect(two.find('ES256', undefined)).toBe('unknown')
})

test('a key that is new is fetched when a token names it, once in a while, and one that is gone is forgotten', async () => {
  const { url, state } = await issuer([await jwkOf('ES256', { kid: 'old' })])
  const keys = await remoteKeys(url, { cooldownMs: 300 })
  state.keys = [await jwkOf('ES256', { kid: 'new' })]
  const early = [keys.find('ES256', 'new'), keys.find('ES256', 'new')]
  const asked = state.requests

  await vi.waitFor(() => expect(keys.find('ES256', 'new')).toMatchObject({ type: 'public' }), PATIENCE)

  expect([early, asked], 'within the cooldown nobody is asked').toEqual([['unknown', 'unknown'], 1])
  expect(keys.find('ES256', 'old')).toBe('unknown')
  for (let guess = 0; guess < 1_000; guess++) keys.find('ES256', `guess-${guess}`)
  expect(state.requests, 'guesses make nobody ask more often').toBe(2)
})

test('while the server of the keys is away or says nonsense, known keys stay and an unknown one may come back later', async () => {
  const trace = { info: vi.fn(), warn: vi.fn() }
  const { url, state } = await issuer([await jwkOf('ES256', { kid: 'known' })])
  const keys = await remoteKeys(url, { refreshMs: 20, cooldownMs: 20 }, trace)
  const outages: (() => void)[] = [
    () => (state.status = 503),
    () => Object.assign(state, { status: 200, body: 'nonsense' }),
    () => (state.body = JSON.stringify({ keys: [] })),
    () => (state.body = JSON.stringify({ keys: [], more: 'x'.repeat(300_000) })),
  ]

  for (const outage of outages) {
    outage()
    const before = state.requests
    await vi.waitFor(() => expect(state.requests).toBeGreaterThan(before + 1), PATIENCE)
    expect(keys.find('ES256', 'known')).toMatchObject({ type: 'public' })
    expect(keys.find('ES256', 'unknown')).toBe('loading')
  }

  expect(trace.warn, 'said once').toHaveBeenCalledTimes(1)
  state.body = undefined
  await vi.waitFor(() => expect(keys.find('ES256', 'unknown')).toBe('unknown'), PATIENCE)
  expect(trace.info).toHaveBeenCalledTimes(2)
})

test('a server of keys that says nothing holds up the start for its timeout and the door not at all', async () => {
  const { url, state } = await issuer([await jwkOf('RS256')])
  state.silent = true
  const startedAt = performance.now()
  const keys = await remoteKeys(url, { timeoutMs: 200, cooldownMs: 50 })
  const startMs = performance.now() - startedAt

  expect(keys.find('RS256', 'RS256-key'), 'at once').toBe('loading')
  expect(startMs).toBeLessThan(5_000)
  state.silent = false
  await vi.waitFor(() => expect(keys.find('RS256', 'RS256-key')).toMatchObject({ type: 'public' }), PATIENCE)
})

test('without the keys of its issuer a token is answered with 503, which says that it may be good later', async () => {
  const { url, server } = await issuer([])
  server.close()
  const { url: edge } = await startEdge({ auth: settingsWith(url) })
  const answer = await fetch(`${edge.replace('ws', 'http')}/api/whoami`, {
    headers: { authorization: `Bearer ${await foreign('RS256')}` },
  })

  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ code: 'keys_unavailable', retryable: true })
})

test('a connection lives on with a new token for the same, of whichever issuer its own is', async () => {
  const { url } = await issuer([await jwkOf('ES256')])
  const { client } = await startEdge({ auth: settingsWith(url) })
  const soon = Math.floor(Date.now() / 1000) + 5
  const [ours, theirs] = [
    await client({ token: await token({ exp: soon }) }),
    await client({ token: await foreign('ES256', { exp: soon }) }),
  ]
  const renewal = await foreign('ES256')

  const refused = await theirs.ask({ type: 'token_refresh' })
  const answers = [
    await theirs.ask({ type: 'token_refresh', auth: { token: renewal } }),
    await ours.ask({ type: 'token_refresh', auth: { token: await token() } }),
  ]
  await vi.waitUntil(() => Date.now() > soon * 1_000 + 300, PATIENCE)

  expect(refused, 'a token of another issuer does not become one of ours').toMatchObject({ code: 'unavailable' })
  expect(answers).toMatchObject([{ type: 'token_refreshed', token: renewal }, { type: 'token_refreshed' }])
  expect(await theirs.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  expect(await ours.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
})

test('a new token for somebody else, or with other rights, does not renew a connection, and a bad one neither', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const raw = await client({ token: await token() })
  const others = [
    await token({ sub: 'bob' }),
    await token({ claims: { tenant: 'acme' } }),
    await token({ claims: { role: 'admin' } }),
    await token({ scopes: ['daemon:read'] }),
  ]

  const codes: unknown[] = []
  for (const value of others) codes.push((await raw.ask({ type: 'token_refresh', auth: { token: value } })).code)

  expect(codes).toEqual(Array(4).fill('forbidden'))
  expect(await raw.ask({ type: 'token_refresh', auth: { token: 'x' } })).toMatchObject({ code: 'jwt_malformed' })
  expect(raw.closed).toBeUndefined()
})
