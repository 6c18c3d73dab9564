/**
 * Settings of who may come in take effect: written as in the environment, seen from outside.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { request } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { exportJWK, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { ConfigError, loadConfig } from '../../src/config/load.js'
import { type Authority, testAuthority } from '../support/certificates.js'
import { effect, liveEffect, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const SECRET = 'the-present-secret-of-thirty-two-characters'
const FORMER = 'a-secret-of-the-past-of-thirty-two-characters'
const ISSUER = 'https://login.example.com/'
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const edwards = generateKeyPairSync('ed25519')

// One daemon for all: a new database takes a second.
const folder = settingsFolder()
let running: RunningDaemon
let keys: ReturnType<typeof createServer>
beforeAll(async () => {
  const set = { keys: [await exportJWK(pair.publicKey), await exportJWK(edwards.publicKey)] }
  keys = createServer((_request, response) => response.end(JSON.stringify(set))).listen(0, '127.0.0.1')
  await once(keys, 'listening')
  running = await startWith(folder.path, {
    DAEMON_JWT_SECRET: SECRET,
    DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([FORMER]),
    DAEMON_JWKS_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/`,
    DAEMON_JWKS_ALGORITHMS: 'RS256,ES256',
    DAEMON_JWKS_ISSUER: ISSUER,
    DAEMON_JWKS_AUDIENCE: 'agents',
    DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS: '2',
    DAEMON_RATE_LIMIT_MAX_PER_ADDRESS: '20',
    DAEMON_TRUSTED_PROXIES: '127.0.0.0/8, ::1',
    DAEMON_PROXY_PROTOCOL: 'true',
    METRICS_ENABLED: 'false',
  })
})
afterAll(async () => {
  await running.stop()
  keys.close()
  folder.remove()
})

let addresses = 0
/** An address that nobody has come from yet. */
const fresh = (): string => `198.51.100.${++addresses}`

function token(claims: object, key: Parameters<SignJWT['sign']>[0], alg: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ sub: 'alice', iat: now, exp: now + 600, ...claims }).setProtectedHeader({ alg }).sign(key)
}
const own = (secret: string) =>
  token({ iss: 'wundr-orchestrator', aud: 'wundr-daemon' }, new TextEncoder().encode(secret), 'HS256')
const foreign = (claims: object = {}) => token({ iss: ISSUER, aud: 'agents', ...claims }, pair.privateKey, 'ES256')

async function ask(credential: string, address = fresh()): Promise<number> {
  const headers = { authorization: `Bearer ${credential}`, 'x-forwarded-for': address }
  return (await fetch(`http://127.0.0.1:${running.daemon.port}/api/whoami`, { headers })).status
}

/** 101, or the status of the refusal; what opens stays open for the test. */
async function open(credential: string, address: string): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${running.daemon.port}`, {
    headers: { authorization: `Bearer ${credential}`, 'x-forwarded-for': address },
  })
  onTestFinished(() => socket.terminate())
  socket.on('error', () => undefined)
  return new Promise((resolve) => {
    socket.on('open', () => resolve(101))
    socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode ?? 0))
  })
}

effect(['DAEMON_JWT_PREVIOUS_SECRETS'], 'tokens of a secret from before are good', async () => {
  expect([await ask(await own(SECRET)), await ask(await own(FORMER)), await ask(await own('x'.repeat(40)))]).toEqual([
    200, 200, 401,
  ])
})

effect(
  ['DAEMON_JWKS_URL', 'DAEMON_JWKS_ISSUER', 'DAEMON_JWKS_AUDIENCE'],
  'tokens of that issuer for us are good',
  async () => {
    expect(await ask(await foreign())).toBe(200)
    expect(await ask(await foreign({ iss: 'wundr-orchestrator' }))).toBe(401)
    expect(await ask(await foreign({ aud: 'wundr-daemon' }))).toBe(401)
  },
)

effect(['DAEMON_JWKS_ALGORITHMS'], 'an algorithm that is left out opens nothing', async () => {
  expect(await ask(await token({ iss: ISSUER, aud: 'agents' }, edwards.privateKey, 'EdDSA'))).toBe(401)
})

effect(
  ['DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS', 'DAEMON_TRUSTED_PROXIES'],
  'the third connection from one address behind the proxy is refused',
  async () => {
    const credential = await foreign({ sub: 'connections' })
    const [here, there] = [fresh(), fresh()]
    const answers = [await open(credential, here), await open(credential, here), await open(credential, here)]

    expect(answers).toEqual([101, 101, 429])
    expect(await open(credential, there)).toBe(101)
  },
)

effect(['DAEMON_RATE_LIMIT_MAX_PER_ADDRESS'], 'more requests from one address are refused', async () => {
  const [credential, address] = [await foreign({ sub: 'requests' }), fresh()]
  const answers: number[] = []
  for (let request = 0; request < 22; request++) answers.push(await ask(credential, address))

  expect(answers).toEqual([...Array(20).fill(200), 429, 429])
})

liveEffect(
  ['DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS', 'DAEMON_RATE_LIMIT_MAX_PER_ADDRESS'],
  'an address may ask for less, for as much as it likes, and for as much as before',
  async () => {
    const credential = await foreign({ sub: 'live' })
    const address = fresh()
    await running.reload({ DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS: '1', DAEMON_RATE_LIMIT_MAX_PER_ADDRESS: '4' })
    const answers = [await open(credential, address), await open(credential, address)]
    for (let request = 0; request < 4; request++) answers.push(await ask(credential, address))
    expect(answers).toEqual([101, 429, 200, 200, 429, 429])

    await running.reload({ DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS: '', DAEMON_RATE_LIMIT_MAX_PER_ADDRESS: '' })
    for (let request = 0; request < 30; request++) expect(await ask(credential, address)).toBe(200)
    expect([await open(credential, address), await open(credential, address)]).toEqual([101, 101])

    await running.reload({})
    expect(await open(credential, address)).toBe(429)
  },
)

effect(['DAEMON_PROXY_PROTOCOL'], 'whom a trusted proxy announces is counted', async () => {
  const credential = await foreign({ sub: 'proxied' })
  const address = fresh()
  const knock = async (): Promise<string> => {
    const socket = connect(running.daemon.port ?? 0, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const announced = [...address.split('.').map(Number), 127, 0, 0, 1, 0x12, 0x67, 0, 80]
    socket.write(Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'), Buffer.from(announced)]))
    const head = ['GET / HTTP/1.1', 'host: x', 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13']
    const more = ['sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', `authorization: Bearer ${credential}`, '\r\n']
    socket.write([...head, ...more].join('\r\n'))
    const [data] = (await once(socket, 'data')) as [Buffer]
    return String(data).split(' ')[1] ?? ''
  }

  expect([await knock(), await knock(), await knock()]).toEqual(['101', '101', '429'])
})

let authority: Authority
beforeAll(() => {
  authority = testAuthority()
})
afterAll(() => authority.remove())

effect(
  ['DAEMON_TLS_CERT_FILE', 'DAEMON_TLS_KEY_FILE', 'DAEMON_TLS_KEY_PASSPHRASE', 'METRICS_TLS'],
  'the ports speak TLS with that certificate, whose key is encrypted',
  async () => {
    const { certFile, keyFile } = authority.issue('settings')
    const encrypted = join(folder.path, 'encrypted.pem')
    execFileSync('openssl', ['pkcs8', '-topk8', '-in', keyFile, '-out', encrypted, '-passout', 'pass:open-sesame'])
    const other = settingsFolder()
    const secure = await startWith(other.path, {
      DAEMON_TLS_CERT_FILE: certFile,
      DAEMON_TLS_KEY_FILE: encrypted,
      DAEMON_TLS_KEY_PASSPHRASE: 'open-sesame',
      METRICS_TLS: 'true',
    })
    onTestFinished(async () => {
      await secure.stop()
      other.remove()
    })
    const socket = new WebSocket(`wss://127.0.0.1:${secure.daemon.port}`, { ca: authority.ca })
    onTestFinished(() => socket.terminate())

    const metrics = request({ port: secure.daemon.metricsPort, path: '/live', ca: authority.ca, agent: false }).end()
    const [[greeting], [answer]] = await Promise.all([once(socket, 'message'), once(metrics, 'response')])

    expect(String(greeting)).toContain('health_check_response')
    expect(answer).toMatchObject({ statusCode: 200 })
    await expect(fetch(`http://127.0.0.1:${secure.daemon.metricsPort}/live`)).rejects.toThrow()
  },
)

test.each([
  [{ DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([FORMER]) }, 'DAEMON_JWT_SECRET is missing'],
  [{ DAEMON_JWT_PREVIOUS_SECRETS: '["short"]' }, 'DAEMON_JWT_PREVIOUS_SECRETS must be a JSON list of at most 4 texts'],
  [{ DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify(Array(5).fill(FORMER)) }, 'DAEMON_JWT_PREVIOUS_SECRETS must be'],
  [{ DAEMON_JWKS_URL: 'http://login.example.com/keys' }, 'DAEMON_JWKS_URL must start with https://'],
  [{ DAEMON_JWKS_ALGORITHMS: 'RS256,HS256' }, 'DAEMON_JWKS_ALGORITHMS must be one or more of RS256, ES256, EdDSA'],
  [{ DAEMON_TRUSTED_PROXIES: '10.0.0.0/33' }, 'DAEMON_TRUSTED_PROXIES must be a list of addresses and networks'],
  [{ DAEMON_TRUSTED_PROXIES: 'proxy.example.com' }, 'DAEMON_TRUSTED_PROXIES must be'],
  [{ DAEMON_TLS_CERT_FILE: '/c.pem' }, 'DAEMON_TLS_KEY_FILE is missing'],
  [{ DAEMON_TLS_KEY_FILE: '/k.pem' }, 'DAEMON_TLS_CERT_FILE is missing'],
  [{ METRICS_TLS: 'true' }, 'DAEMON_TLS_CERT_FILE is missing: METRICS_TLS needs it'],
  [{ DAEMON_HOST: '0.0.0.0', DAEMON_JWT_SECRET: '' }, 'DAEMON_JWT_SECRET is missing'],
])('%o is refused in one sentence, which holds no secret', (env, sentence) => {
  const load = () => loadConfig({ flags: {}, env: env as Record<string, string>, cwd: folder.path })

  expect(load).toThrow(ConfigError)
  expect(load).toThrow(sentence)
  expect(load).not.toThrow(FORMER)
})

test('another issuer alone is a lock: then the port may be open beyond this machine', () => {
  const env = { DAEMON_HOST: '0.0.0.0', DAEMON_JWKS_URL: 'https://login.example.com/keys', DAEMON_AUTH_MODE: 'jwt' }

  expect(loadConfig({ flags: {}, env, cwd: folder.path }).auth.jwksUrl).toBe('https://login.example.com/keys')
})
