/**
 * Where a command goes, and what it shows there: above all, to whom a token signed on this machine is never shown.
 */
import { expect, test } from 'vitest'
import { addressOf, type ConnectionFlags } from '../../src/cli/address.js'
import { loadConfig } from '../../src/config/load.js'

const SECRET = { DAEMON_JWT_SECRET: 'a secret that is long enough for anybody' }
const NOWHERE = '/nonexistent'

const find = (flags: ConnectionFlags, env: Record<string, string> = {}) =>
  addressOf(flags, env, () => loadConfig({ flags: {}, env, cwd: NOWHERE }))

test.each([
  [{}, {}, 'ws://127.0.0.1:8787'],
  [{}, { DAEMON_PORT: '9999' }, 'ws://127.0.0.1:9999'],
  [{ port: 1234 }, { DAEMON_PORT: '9999' }, 'ws://127.0.0.1:1234'],
  [{ host: 'edge-2', port: 80 }, {}, 'ws://edge-2'],
  [{ host: '::1', port: 9 }, {}, 'ws://[::1]:9'],
  [{}, { ...SECRET, DAEMON_HOST: '0.0.0.0' }, 'ws://127.0.0.1:8787'],
  [{ url: 'https://agents.example/daemon' }, {}, 'wss://agents.example/daemon'],
  [{ url: 'ws://a:1', port: 2 }, {}, 'ws://a:1'],
])('%o with %o goes to %s', (flags, env, url) => {
  expect(find(flags, env as Record<string, string>).url).toBe(url)
})

test.each(['nowhere', 'ftp://host', 'ws://'])('%s is refused with an example', (url) => {
  expect(() => find({ url })).toThrow(/an address looks like ws:\/\/127\.0\.0\.1:8787/)
})

test('a credential of the options counts more than one of the environment', () => {
  const env = { DAEMON_TOKEN: 'of-environment', DAEMON_API_KEY: 'key-of-environment' }

  expect(find({ token: 'given' }, env).credential).toEqual({ kind: 'token', token: 'given' })
  expect(find({ apiKey: 'given' }, env).credential).toEqual({ kind: 'api-key', key: 'given' })
  expect(find({}, env).credential).toEqual({ kind: 'token', token: 'of-environment' })
})

test('where the secret is, the daemon of these settings is shown a token of our own', () => {
  expect(find({}, SECRET).credential).toMatchObject({ kind: 'local', tenant: 'local' })
  expect(find({ tenant: 'acme' }, SECRET).credential).toMatchObject({ kind: 'local', tenant: 'acme' })
  expect(find({ url: 'ws://localhost:1' }, SECRET).credential).toMatchObject({ kind: 'local' })
})

test.each<ConnectionFlags>([{ url: 'wss://elsewhere.example' }, { host: 'elsewhere.example', port: 80 }])(
  'no token of our own is shown to another server: %o',
  (flags) => {
    expect(find(flags, SECRET).credential).toEqual({ kind: 'none' })
  },
)

test('without a secret there is nothing to show', () => {
  expect(find({}).credential).toEqual({ kind: 'none' })
})

test('an address and a token of the options need no settings at all', () => {
  const broken = () => {
    throw new Error('the settings are wrong')
  }

  expect(addressOf({ url: 'ws://a:1', token: 't' }, {}, broken)).toMatchObject({ url: 'ws://a:1' })
})
