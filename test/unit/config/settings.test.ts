/**
 * What follows from settings: addresses given in parts, switches with several names, warnings, rules, and how the whole
 * is shown.
 */
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { levelOf } from '../../../src/assembly/node-log.js'
import { effectiveSettings } from '../../../src/config/describe.js'
import { ConfigError, loadConfig } from '../../../src/config/load.js'
import { REPLACED_NAMES } from '../../../src/config/replaced-names.js'
import { allSettings } from '../../../src/config/schema.js'

const NO_FOLDER = `${tmpdir()}/there-is-no-such-folder`
const load = (env: Record<string, string> = {}, flags = {}) => loadConfig({ flags, env, cwd: NO_FOLDER })

function mistakesOf(env: Record<string, string>): readonly string[] {
  try {
    load(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}

describe('a store', () => {
  test.each([
    [{ REDIS_HOST: 'redis' }, 'redis://redis:6379'],
    [{ REDIS_HOST: 'redis', REDIS_PORT: '6380' }, 'redis://redis:6380'],
    [{ REDIS_HOST: 'redis', REDIS_PORT: 'tcp://10.0.0.7:6381' }, 'redis://redis:6381'],
    [{ REDIS_HOST: '::1' }, 'redis://[::1]:6379'],
    [{ REDIS_HOST: 'redis', REDIS_URL: 'rediss://other' }, 'rediss://other'],
    [{ REDIS_HOST: 'redis', REDIS_CLUSTER_NODES: 'a:1' }, undefined],
    [{ REDIS_PORT: '6380' }, undefined],
  ])('Redis given as %j is at %s', (env, url) => {
    expect(load(env).redis.url).toBe(url)
  })

  test.each([
    [{ POSTGRES_HOST: 'db' }, 'postgres://orchestrator:orchestrator_pass@db:5432/orchestrator'],
    [
      { POSTGRES_HOST: 'db', POSTGRES_PORT: '1', POSTGRES_USER: 'a b', POSTGRES_PASSWORD: 'p@/:', POSTGRES_DB: 'x' },
      'postgres://a%20b:p%40%2F%3A@db:1/x',
    ],
    [{ POSTGRES_HOST: 'db', DATABASE_URL: 'postgres://h/d' }, 'postgres://h/d'],
    [{ POSTGRES_USER: 'a' }, undefined],
  ])('PostgreSQL given as %j is at %s', (env, url) => {
    expect(load(env).database.url).toBe(url)
  })

  test('given in parts is enough for a lone role', () => {
    expect(mistakesOf({ DAEMON_ROLE: 'worker', REDIS_HOST: 'r', POSTGRES_HOST: 'p' })).toEqual([])
  })
})

describe('a setting', () => {
  test.each([
    ['true', true],
    ['*', true],
    ['false', false],
    ['express:*', false],
  ])('DEBUG=%s makes the log verbose: %s', (DEBUG, verbose) => {
    expect(levelOf(load({ DEBUG })) === 'debug').toBe(verbose)
  })

  test.each([
    ['ORCHESTRATOR_DAEMON_PORT', '1', (config: ReturnType<typeof load>) => config.server.port, 1],
    ['ORCHESTRATOR_DAEMON_HOST', 'localhost', (config) => config.server.host, 'localhost'],
    ['ORCHESTRATOR_MAX_SESSIONS', '3', (config) => config.server.maxSessions, 3],
    ['MAX_SESSIONS', '3', (config) => config.server.maxSessions, 3],
    ['ORCHESTRATOR_VERBOSE', 'true', (config) => config.server.verbose, true],
    ['ENABLE_METRICS', 'false', (config) => config.monitoring.metricsEnabled, false],
    ['DAEMON_AUTH_JWT_EXPIRES_SEC', '3600', (config) => config.auth.jwtExpirationSeconds, 3_600],
    ['DAEMON_AUTH_JWT_ISSUER', 'me', (config) => config.auth.issuer, 'me'],
    ['DAEMON_AUTH_JWT_AUDIENCE', 'us', (config) => config.auth.audience, 'us'],
    ['DAEMON_AUTH_RATE_LIMIT_MAX', '5', (config) => config.auth.rateLimitMax, 5],
    ['DAEMON_AUTH_RATE_LIMIT_WINDOW_MS', '5000', (config) => config.auth.rateLimitWindowMs, 5_000],
  ] as readonly [string, string, (config: ReturnType<typeof load>) => unknown, unknown][])(
    'may be given as %s=%s',
    (name, text, read, value) => {
      expect(read(load({ [name]: text }))).toBe(value)
    },
  )

  test('of origins is a list of what browsers send', () => {
    expect(load({ DAEMON_CORS_ORIGINS: 'http://localhost:3000, https://a.example/' }).auth.corsOrigins).toEqual([
      'http://localhost:3000',
      'https://a.example',
    ])
    expect(mistakesOf({ DAEMON_CORS_ORIGINS: 'localhost' })).toEqual([
      'DAEMON_CORS_ORIGINS must be a list such as http://localhost:3000,https://app.example.com, or *, not "localhost"',
    ])
  })

  test.each(['0', '0.5', '.5', '1', '1.0'])('of a share takes %s', (share) => {
    expect(load({ MEMORY_COMPACTION_THRESHOLD: share }).memory.compactionThreshold).toBe(Number(share))
  })

  test.each(['1.1', '-0.1', '80', '80%', ''.padEnd(3, '.')])('of a share refuses %s', (share) => {
    expect(mistakesOf({ MEMORY_COMPACTION_THRESHOLD: share })).toEqual([
      `MEMORY_COMPACTION_THRESHOLD must be a number from 0 to 1, such as 0.8, not "${share}"`,
    ])
  })

  test('that something else stands in for is taken, and what does is said, when it is set', () => {
    expect(load().warnings).toEqual([])
    expect(load({ FEDERATION_PORT: '9999' }).warnings).toEqual([
      'FEDERATION_PORT has no effect: nodes meet in Redis and PostgreSQL, and none listens for others',
    ])
  })

  test('names of the reference that are no settings here are answered with what does their work', () => {
    const names = [...REPLACED_NAMES.keys()]
    const warnings = load(Object.fromEntries(names.map((name) => [name, '1']))).warnings

    expect(warnings.map((warning) => warning.split(' ')[0])).toEqual(names)
    expect(warnings[0]).toBe(
      'ORCHESTRATOR_MODEL has no effect: OPENAI_MODEL or ANTHROPIC_MODEL name the model of sessions that name none',
    )
    expect(warnings.every((warning) => warning.includes(' has no effect: '))).toBe(true)
    const known = new Set(allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases]))
    expect(
      names.filter((name) => known.has(name)),
      'what has an effect is not refused',
    ).toEqual([])
  })
})

describe('keys of programs', () => {
  const key = 'k'.repeat(32)

  test('come with the role user and no scopes where none are named', () => {
    const DAEMON_AUTH_API_KEYS = JSON.stringify([{ key, clientId: 'ci', role: 'admin', scopes: ['*'] }])

    expect(load({ DAEMON_AUTH_API_KEYS }).auth.apiKeys).toEqual([{ key, clientId: 'ci', role: 'admin', scopes: ['*'] }])
    expect(load().auth.apiKeys).toEqual([])
  })

  test('are reason enough to listen beyond loopback', () => {
    const DAEMON_AUTH_API_KEYS = JSON.stringify([{ key, clientId: 'ci' }])

    expect(mistakesOf({ DAEMON_HOST: '0.0.0.0', DAEMON_AUTH_API_KEYS })).toEqual([])
  })

  test.each([
    ['no JSON', `${key}-secret`],
    ['a short key', '[{"key":"short-secret","clientId":"a"}]'],
    ['no client', `[{"key":"${key}"}]`],
    ['another role', `[{"key":"${key}","clientId":"a","role":"king"}]`],
    ['a key of two clients', `[{"key":"${key}","clientId":"a"},{"key":"${key}","clientId":"b"}]`],
  ])('are refused with %s, and are not printed', (_what, DAEMON_AUTH_API_KEYS) => {
    const [mistake, ...more] = mistakesOf({ DAEMON_AUTH_API_KEYS })

    expect(mistake).toMatch(/^DAEMON_AUTH_API_KEYS must be a JSON list such as .* roles out of admin, user, readonly$/)
    expect(mistake).not.toMatch(/kkk|short-secret/)
    expect(more).toEqual([])
  })
})

describe('rules between settings', () => {
  test('a longer time has the larger budget', () => {
    expect(mistakesOf({ TOKEN_BUDGET_DAILY: '10', TOKEN_BUDGET_WEEKLY: '9', TOKEN_BUDGET_MONTHLY: '8' })).toEqual([
      'TOKEN_BUDGET_WEEKLY must be at least TOKEN_BUDGET_DAILY, but 9 is less than 10',
      'TOKEN_BUDGET_MONTHLY must be at least TOKEN_BUDGET_WEEKLY, but 8 is less than 9',
    ])
  })

  test('a daemon that takes only keys must have some', () => {
    expect(mistakesOf({ DAEMON_AUTH_MODE: 'api-key' })).toEqual([
      'DAEMON_AUTH_API_KEYS is missing: with DAEMON_AUTH_MODE=api-key nobody could come in without it',
    ])
  })

  test('a daemon that takes only tokens must have their secret, where it has keys', () => {
    const keys = JSON.stringify([{ key: 'k'.repeat(32), clientId: 'ci' }])

    expect(mistakesOf({ DAEMON_AUTH_MODE: 'jwt', DAEMON_AUTH_API_KEYS: keys })).toEqual([
      'DAEMON_JWT_SECRET is missing: with DAEMON_AUTH_MODE=jwt nobody could come in, and API keys count for nothing',
    ])
  })

  test('metrics may stand on the port for clients', () => {
    expect(mistakesOf({ DAEMON_PORT: '8787', METRICS_PORT: '8787' })).toEqual([])
  })

  test('a URL that is wrong is shown without its password', () => {
    expect(mistakesOf({ OPENAI_BASE_URL: 'ftp://me:pass-word@host/' })).toEqual([
      'OPENAI_BASE_URL must be a URL that starts with http:// or https://, not "ftp://hidden@host/"',
    ])
  })
})

describe('the effective settings', () => {
  const SECRETS = {
    OPENAI_API_KEY: 'sk-hidden-one',
    DAEMON_JWT_SECRET: 'hidden-two-hidden-two-hidden-two-hidden',
    REDIS_URL: 'redis://me:hidden-three@h:1/2',
    DATABASE_URL: 'postgres://me:hidden-four@h/d?sslpassword=hidden-five',
    DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: 'hidden-six'.padEnd(32, 'x'), clientId: 'a' }]),
    OPENAI_BASE_URL: 'https://me:hidden-seven@h/v1',
  }
  const shown = (env: Record<string, string>, flags = {}) =>
    new Map(effectiveSettings(load(env, flags)).map((each) => [each.name, each]))

  test('show every setting once, with value, source, unit and meaning', () => {
    const settings = shown({ DAEMON_PORT: '9000' }, { host: 'localhost' })

    expect([...settings.keys()]).toEqual(allSettings().map(({ setting }) => setting.env))
    expect(settings.get('DAEMON_PORT')).toMatchObject({ value: '9000', source: 'environment', section: 'server' })
    expect(settings.get('DAEMON_HOST')).toMatchObject({ value: 'localhost', source: 'flag' })
    expect(settings.get('DAEMON_HEARTBEAT_INTERVAL')).toMatchObject({
      value: '30000',
      source: 'default',
      unit: 'milliseconds',
      meaning: 'Between pings to clients, and between heartbeats to Neolith, which gets one at least every 30 s',
    })
    expect(settings.get('OPENAI_ORG_ID')).toMatchObject({ value: undefined, source: 'default' })
  })

  test('show no secret', () => {
    const settings = shown(SECRETS)

    expect(JSON.stringify([...settings.values()])).not.toMatch(/hidden-(one|two|three|four|five|six|seven)/)
    expect(settings.get('OPENAI_API_KEY')?.value).toBe('set (hidden)')
    expect(settings.get('DAEMON_AUTH_API_KEYS')?.value).toBe('set (hidden)')
    expect(settings.get('REDIS_URL')?.value).toBe('redis://me:hidden@h:1/2')
    expect(settings.get('DATABASE_URL')?.value).toBe('postgres://me:hidden@h/d?hidden')
  })
})
