/**
 * How settings are read, and what is said when they are wrong.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderEnvExample } from '../../../src/config/env-example.js'
import { ConfigError, type ConfigSources, loadConfig } from '../../../src/config/load.js'
import { allSettings } from '../../../src/config/schema.js'

const SECRET = 'a-secret-of-at-least-32-characters'

let empty: string
let withFile: string

beforeAll(() => {
  empty = mkdtempSync(join(tmpdir(), 'config-'))
  withFile = mkdtempSync(join(tmpdir(), 'config-'))
  writeFileSync(join(withFile, '.env'), '# comment\nDAEMON_PORT=1001\nDAEMON_NAME="from-file"\nLOG_LEVEL=warn\n')
})

afterAll(() => {
  for (const folder of [empty, withFile]) rmSync(folder, { recursive: true })
})

const load = (sources: Partial<ConfigSources> = {}) => loadConfig({ flags: {}, env: {}, cwd: empty, ...sources })

function mistakesOf(env: Record<string, string>, flags: ConfigSources['flags'] = {}): readonly string[] {
  try {
    load({ env, flags })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}

describe('settings', () => {
  test('have these defaults where nothing is set', () => {
    const config = load()

    expect(config.server).toMatchObject({
      role: 'all',
      host: '127.0.0.1',
      port: 8787,
      maxSessions: 100,
      verbose: false,
    })
    expect(config.openai).toEqual({
      apiKey: undefined,
      model: 'gpt-4o-mini',
      organization: undefined,
      baseUrl: undefined,
    })
    expect(config.cluster).toMatchObject({ name: 'orchestrator-cluster', shardCount: 256, strategy: 'least-loaded' })
    expect(config.auth).toMatchObject({ jwtSecret: undefined, jwtExpirationSeconds: 86_400 })
    expect(config.lanes).toBe(1)
    expect(config.warnings).toEqual([])
  })

  test('C-09: come from flags before environment before .env before defaults', () => {
    const config = load({ cwd: withFile, env: { DAEMON_PORT: '1002', LOG_LEVEL: 'error' }, flags: { port: 1003 } })

    expect(config.server.port).toBe(1003)
    expect(config.logging.level).toBe('error')
    expect(config.server.name).toBe('from-file')
    expect(config.logging.format).toBe('json')
  })

  test('that are empty count as not set', () => {
    expect(load({ env: { REDIS_URL: '', DAEMON_PORT: ' ' } })).toMatchObject({
      redis: { url: undefined },
      server: { port: 8787 },
    })
  })

  test('A-01: may go by an older name, which gives way to the present one', () => {
    const other = `${SECRET}-other`

    expect(load({ env: { DAEMON_AUTH_JWT_SECRET: other } }).auth.jwtSecret).toBe(other)
    expect(load({ env: { DAEMON_AUTH_JWT_SECRET: other, DAEMON_JWT_SECRET: SECRET } }).auth.jwtSecret).toBe(SECRET)
  })

  test('of a Redis Cluster bring sixteen lanes', () => {
    const config = load({ env: { REDIS_CLUSTER_NODES: 'a:7000, b:7001' } })

    expect(config.redis.clusterNodes).toEqual(['a:7000', 'b:7001'])
    expect(config.lanes).toBe(16)
  })

  test.each([
    ['90', 90],
    ['90s', 90],
    ['15m', 900],
    ['24h', 86_400],
    ['7d', 604_800],
  ])('read the time %s as %i seconds', (written, seconds) => {
    expect(load({ env: { DAEMON_JWT_EXPIRATION: written } }).auth.jwtExpirationSeconds).toBe(seconds)
  })

  test('with a default can be parsed from that default', () => {
    const broken = allSettings().filter(
      ({ setting }) => setting.fallback !== undefined && !setting.kind.type.safeParse(setting.fallback).success,
    )

    expect(broken).toEqual([])
  })

  test('have names of their own', () => {
    const names = allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases])

    expect(new Set(names).size).toBe(names.length)
  })

  test('are all shown in .env.example, which is up to date', () => {
    const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8')

    expect(example).toBe(renderEnvExample())
    expect(allSettings().filter(({ setting }) => !example.includes(`\n#${setting.env}=`))).toEqual([])
  })
})

describe('mistakes', () => {
  test('are all named at once, each in one sentence', () => {
    expect(
      mistakesOf({ DAEMON_PORT: 'abc', LOG_LEVEL: 'loud', DATABASE_URL: 'mysql://x', SHARD_COUNT: '4097' }),
    ).toEqual([
      'DAEMON_PORT must be a whole number from 0 to 65535, not "abc"',
      'DATABASE_URL must be a URL that starts with postgres:// or postgresql://',
      'SHARD_COUNT must be a whole number from 1 to 4096, not "4097"',
      'LOG_LEVEL must be one of debug, info, warn, error, not "loud"',
    ])
  })

  test('in a secret are named without the secret', () => {
    expect(mistakesOf({ DAEMON_JWT_SECRET: 'too-short' })).toEqual([
      'DAEMON_JWT_SECRET must be a text of at least 32 characters',
    ])
  })

  test('in an option are named by the option', () => {
    expect(mistakesOf({}, { role: 'boss' })).toEqual([
      '--role must be one of all, edge, worker, coordinator, not "boss"',
    ])
  })

  test.each(['edge', 'worker', 'coordinator'])(
    'a lone %s without Redis and PostgreSQL is told what is missing',
    (role) => {
      const reason = `role ${role} meets the other roles in Redis and PostgreSQL only`

      expect(mistakesOf({}, { role })).toEqual([
        `REDIS_URL is missing: ${reason}`,
        `DATABASE_URL is missing: ${reason}`,
      ])
      expect(mistakesOf({ REDIS_URL: 'redis://h' }, { role })).toEqual([`DATABASE_URL is missing: ${reason}`])
      expect(mistakesOf({ REDIS_URL: 'redis://h', DATABASE_URL: 'postgres://h/d' }, { role })).toEqual([])
    },
  )

  test.each(['0.0.0.0', '::', '192.168.1.5', '127.0.0.1.example.com'])(
    '%s is no address to listen on without a secret',
    (host) => {
      expect(mistakesOf({ DAEMON_HOST: host })).toEqual([
        `DAEMON_JWT_SECRET is missing: without it or DAEMON_AUTH_API_KEYS the daemon listens on loopback only, not on ${host}`,
      ])
      expect(mistakesOf({ DAEMON_HOST: host, DAEMON_JWT_SECRET: SECRET })).toEqual([])
    },
  )

  test.each(['127.0.0.1', '127.8.8.8', 'localhost', '::1'])('%s needs no secret', (host) => {
    expect(mistakesOf({ DAEMON_HOST: host })).toEqual([])
  })

  test('a worker listens for nobody and needs no secret', () => {
    const stores = { REDIS_URL: 'redis://h', DATABASE_URL: 'postgres://h/d' }

    expect(mistakesOf({ ...stores, DAEMON_HOST: '0.0.0.0' }, { role: 'worker' })).toEqual([])
  })

  test('a single Redis and a Redis Cluster at once are refused', () => {
    expect(mistakesOf({ REDIS_URL: 'redis://h', REDIS_CLUSTER_NODES: 'a:1' })).toEqual([
      'REDIS_URL and REDIS_CLUSTER_NODES exclude each other; set one of them',
    ])
  })

  test('in the name of a daemon setting only warn', () => {
    const config = load({ env: { DAEMON_PROT: '9000', PATH: '/bin' } })

    expect(config.warnings).toEqual([
      'DAEMON_PROT is not a setting of this version and has no effect (did you mean DAEMON_PORT?)',
    ])
  })
})

test('what the commands of a client read is no mistake of the daemon', () => {
  expect(load({ env: { DAEMON_TOKEN: 'a', DAEMON_API_KEY: 'b' } }).warnings).toEqual([])
})
