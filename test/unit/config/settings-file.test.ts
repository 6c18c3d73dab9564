/**
 * The file of --config: how settings are written there, what wins over it, and what is said when it is wrong.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, type ConfigSources, loadConfig } from '../../../src/config/load.js'

let cwd: string

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'settings-file-'))
})

afterEach(() => rmSync(cwd, { recursive: true }))

function load(name: string, text: string, sources: Partial<ConfigSources> = {}) {
  writeFileSync(join(cwd, name), text)
  return loadConfig({ env: {}, cwd, ...sources, flags: { config: name, ...sources.flags } })
}

function mistakesIn(name: string, text?: string): readonly string[] {
  if (text !== undefined) writeFileSync(join(cwd, name), text)
  try {
    loadConfig({ flags: { config: name }, env: {}, cwd })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}

const README_KEYS = {
  name: 'from-file',
  port: 9090,
  host: 'localhost',
  maxSessions: 7,
  heartbeatInterval: 15_000,
  shutdownTimeout: 2_000,
  verbose: true,
  logLevel: 'warn',
}

describe('a settings file', () => {
  test('takes the flat keys of the documentation', () => {
    const config = load('my-config.json', JSON.stringify(README_KEYS, undefined, '\t'))

    expect(config.server).toMatchObject({
      name: 'from-file',
      port: 9090,
      host: 'localhost',
      maxSessions: 7,
      heartbeatIntervalMs: 15_000,
      shutdownTimeoutMs: 2_000,
      verbose: true,
    })
    expect(config.logging.level).toBe('warn')
  })

  test.each(['settings.yaml', 'settings.yml'])(
    '%s takes sections, names of the environment, and older names',
    (name) => {
      const text = `
# a comment
DAEMON_PORT: 9091
MAX_SESSIONS: 8
cluster: { name: blue, shardCount: 16 }
daemon:
  heartbeatInterval: 15000
redis:
  clusterNodes: [a:7000, b:7001]
auth:
  apiKeys:
    - { key: ${'k'.repeat(32)}, clientId: ci }
openai:
  model: 4.10
`
      const config = load(name, text)

      expect(config.server).toMatchObject({ port: 9091, maxSessions: 8, heartbeatIntervalMs: 15_000 })
      expect(config.cluster).toMatchObject({ name: 'blue', shardCount: 16 })
      expect(config.redis.clusterNodes).toEqual(['a:7000', 'b:7001'])
      expect(config.auth.apiKeys).toEqual([{ key: 'k'.repeat(32), clientId: 'ci', role: 'user' }])
      expect(config.openai.model).toBe('4.10')
    },
  )

  test('gives way to .env, to the environment and to options, and wins over defaults', () => {
    writeFileSync(join(cwd, '.env'), 'DAEMON_HOST=127.0.0.2\n')
    const file = JSON.stringify({ port: 1, host: '127.0.0.1', name: 'file', maxSessions: 5 })

    const config = load('c.json', file, { flags: { port: 3 }, env: { DAEMON_PORT: '2', DAEMON_NAME: 'env' } })

    expect(config.server).toMatchObject({ port: 3, host: '127.0.0.2', name: 'env', maxSessions: 5 })
    expect(Object.fromEntries(config.origins)).toEqual({
      DAEMON_NAME: 'environment',
      DAEMON_HOST: '.env',
      DAEMON_PORT: 'flag',
      DAEMON_MAX_SESSIONS: 'file',
      WUNDR_CONFIG_PATH: 'flag',
    })
  })

  test('may be named in the environment', () => {
    writeFileSync(join(cwd, 'c.json'), '{"port": 9090}')

    expect(loadConfig({ flags: {}, env: { WUNDR_CONFIG_PATH: './c.json' }, cwd }).server.port).toBe(9090)
  })

  test.each(['', '{}'])('that says nothing (%j) changes nothing', (text) => {
    expect(load('c.yaml', text).server.port).toBe(8787)
  })

  test('has all its mistakes named at once, with the name that was probably meant', () => {
    const text = JSON.stringify({ prot: 1, logLevel: 'loud', server: { maxSession: 1 }, nonsense: 1, redis: 'no' })

    expect(mistakesIn('c.json', text)).toEqual([
      'prot in c.json is not a setting (did you mean port?)',
      'server.maxSession in c.json is not a setting (did you mean maxSessions?)',
      'nonsense in c.json is not a setting',
      'redis in c.json is a section: it must hold names and values',
      'logLevel in c.json must be one of debug, info, warn, error, not "loud"',
    ])
  })

  test('may not say a setting twice', () => {
    expect(mistakesIn('c.yaml', 'port: 1\nserver:\n  port: 2\n')).toEqual([
      'server.port in c.yaml says again what port in c.yaml says',
    ])
  })

  test('cannot say where it is', () => {
    expect(mistakesIn('c.yaml', 'WUNDR_CONFIG_PATH: d.yaml\n')).toEqual([
      'WUNDR_CONFIG_PATH in c.yaml is not a setting',
    ])
  })

  const hidden = 'a-secret-that-must-never-be-printed'
  test.each([
    ['broken.json', `{\n  "key": "${hidden}",\n  "port" 9090\n}`, 'line 3, column 10: this is not JSON'],
    ['literal.json', '{\n  "a": tru }', 'line 2, column 11: this is not JSON'],
    ['short.json', '{', 'line 1, column 2: this is not JSON'],
    ['word.json', hidden, 'line 1, column 1: this is not JSON'],
    ['cut.json', `{\n  "key": "${hidden}`, 'line 2, column 46: this is not JSON'],
    ['broken.yaml', `a: 1\nb: "${hidden}\n`, 'line 3, column 1: this is not YAML'],
    ['twice.yaml', 'port: 1\nport: 2\n', 'line 2, column 1: this name is there twice'],
    ['list.yaml', `- ${hidden}\n`, 'it must hold names and values'],
    ['missing.json', undefined, 'it is not there'],
  ])('%s is refused in one sentence that gives the place and no secret', (name, text, reason) => {
    expect(mistakesIn(name, text)).toEqual([`the settings file ${name} could not be read: ${reason}`])
  })

  test('of another kind is refused', () => {
    expect(mistakesIn('c.toml', 'port = 1')).toEqual([
      'the settings file c.toml must end in .json, .json5, .yaml, .yml',
    ])
  })

  test('that is a folder is refused', () => {
    mkdirSync(join(cwd, 'folder.json'))

    expect(mistakesIn('folder.json')[0]).toMatch(/^the settings file folder\.json could not be read: EISDIR/)
  })
})

describe('a settings file of JSON5', () => {
  const text = `// what people write
{
  daemon: { port: 9_090, name: 'from-json5', }, /* and
  over lines */
  logging: { level: "warn" },
}`.replace('9_090', '9090')

  test.each(['settings.json5', 'settings.json'])('%s may hold comments, bare names and trailing commas', (name) => {
    const { server, logging } = load(name, text)

    expect([server.port, server.name, logging.level]).toEqual([9090, 'from-json5', 'warn'])
  })

  test('is refused with the place where it is wrong, and no part of it', () => {
    expect(mistakesIn('c.json5', `{ key: 'hidden',\n  port: 1 2 }`)).toEqual([
      'the settings file c.json5 could not be read: line 2, column 11: this is not JSON',
    ])
  })
})

describe('a settings file that includes others', () => {
  test('counts more than they do, and a later one more than an earlier one', () => {
    mkdirSync(join(cwd, 'parts'))
    writeFileSync(join(cwd, 'parts/base.yaml'), '$include: deeper.json5\nport: 1\nname: base\nmaxSessions: 1\n')
    writeFileSync(join(cwd, 'parts/deeper.json5'), '{ host: "localhost", port: 5 }')
    writeFileSync(join(cwd, 'parts/other.yaml'), 'port: 2\nname: other\n')

    const { server } = load('c.yaml', '$include: [parts/base.yaml, parts/other.yaml]\nport: 3\n')

    expect(server).toMatchObject({ port: 3, name: 'other', maxSessions: 1, host: 'localhost' })
  })

  test('is refused where one is missing, or they include each other', () => {
    expect(mistakesIn('c.yaml', '$include: gone.yaml\n')).toEqual([
      'the settings file gone.yaml could not be read: it is not there',
    ])
    writeFileSync(join(cwd, 'b.yaml'), '$include: c.yaml\n')
    expect(mistakesIn('c.yaml', '$include: b.yaml\n')[0]).toMatch(/is included by 8 files in turn/)
  })
})

describe('a variable in a settings file', () => {
  const env = { SECRET_OF_TEST: 'kept elsewhere', PORT_OF_TEST: '9191' }
  const variable = (name: string): string => `$\{${name}}`

  test('stands for its value', () => {
    const text = `port: ${variable('PORT_OF_TEST')}\nopenai: { apiKey: "sk-${variable('SECRET_OF_TEST')}" }\n`

    const config = load('c.yaml', text, { env })
    const literal = load('c.yaml', `openai: { model: "a$${variable('PORT_OF_TEST')}" }\n`, { env })

    expect([config.server.port, config.openai.apiKey]).toEqual([9191, 'sk-kept elsewhere'])
    expect(literal.openai.model).toBe(`a${variable('PORT_OF_TEST')}`)
  })

  test('that is not there is a mistake', () => {
    expect(mistakesIn('c.yaml', `name: ${variable('NOBODY_SET_THIS')}\n`)).toEqual([
      `name in c.yaml names ${variable('NOBODY_SET_THIS')}, and there is no such variable`,
    ])
  })
})

describe('a settings file of the reference', () => {
  const reference = {
    meta: { $version: 1 },
    daemon: { name: 'ref', port: 9090, maxSessions: 7, shutdownTimeoutMs: 2_000, reload: { mode: 'hot' } },
    openai: { apiKey: 'sk-of-the-file', model: 'gpt-4o' },
    memory: {
      backend: 'builtin',
      maxHeapMB: 900,
      maxContextTokens: 64_000,
      compaction: { enabled: false, threshold: 0.5 },
    },
    security: {
      jwt: { secret: 'a secret of at least thirty-two characters', expiration: '2h', issuer: 'me', audience: 'us' },
      cors: { enabled: true, origins: ['http://a.example', 'http://b.example'] },
      rateLimit: { enabled: true, max: 7, windowMs: 5_000 },
      audit: { enabled: true },
    },
    channels: { slack: {} },
    monitoring: { metrics: { enabled: false, port: 9_191 }, healthCheck: { enabled: true, path: '/healthy' } },
    logging: { level: 'warn', format: 'text', rotation: { enabled: false, maxSizeMB: 3, maxFiles: 4 } },
    distributed: { clusterName: 'blue', loadBalancingStrategy: 'weighted', rebalanceIntervalMs: 9_000 },
    redis: { url: 'redis://r:1', connectTimeoutMs: 9 },
    tokenBudget: { daily: 1, weekly: 2, monthly: 3, alerts: { enabled: false, threshold: 0.6 } },
    neolith: { apiUrl: 'http://n:1' },
    nodeEnv: 'production',
    debug: true,
  }

  test('is taken as it is, and what has no effect here is said', () => {
    const config = load('config.json5', JSON.stringify(reference))

    expect(config.server).toMatchObject({ name: 'ref', port: 9090, maxSessions: 7, shutdownTimeoutMs: 2_000 })
    expect(config.server).toMatchObject({ maxHeapMb: 900, environment: 'production' })
    expect(config.logging.debug).toBe(true)
    expect(config.auth).toMatchObject({
      ...{ jwtExpirationSeconds: 7_200, issuer: 'me', audience: 'us', corsEnabled: true },
      ...{ corsOrigins: ['http://a.example', 'http://b.example'], rateLimitMax: 7, rateLimitWindowMs: 5_000 },
    })
    expect(config.memory).toMatchObject({
      maxContextTokens: 64_000,
      compactionEnabled: false,
      compactionThreshold: 0.5,
    })
    expect(config.monitoring).toMatchObject({ metricsEnabled: false, metricsPort: 9_191, healthPath: '/healthy' })
    expect(config.logging).toMatchObject({ level: 'warn', rotationEnabled: false, maxSizeMb: 3, maxFiles: 4 })
    expect(config.cluster).toMatchObject({ name: 'blue', strategy: 'weighted', rebalanceIntervalMs: 9_000 })
    expect(config.budget).toMatchObject({ daily: 1, weekly: 2, monthly: 3, alertsEnabled: false, alertThreshold: 0.6 })
    expect(config.warnings).toEqual([
      'meta in config.json5 has no effect in this version',
      'daemon.reload in config.json5 has no effect in this version',
      'memory.backend in config.json5 has no effect in this version',
      'security.audit in config.json5 has no effect: the audit log is always kept',
      'channels in config.json5 has no effect in this version',
    ])
  })

  test('FILES: is found in .wundr of the working directory, then at home, and gives way to one that is named', () => {
    const home = join(cwd, 'home')
    for (const folder of [cwd, home]) mkdirSync(join(folder, '.wundr'), { recursive: true })
    writeFileSync(join(home, '.wundr/config.json'), '{ "port": 1 }')
    const at = (flags = {}) => loadConfig({ flags, env: { HOME: home }, cwd })
    expect([at().server.port, at().server.configFile]).toEqual([1, join(home, '.wundr/config.json')])

    writeFileSync(join(cwd, '.wundr/config.json5'), '{ port: 2 }')
    expect([at().server.port, at().origins.get('WUNDR_CONFIG_PATH')]).toEqual([2, 'file'])

    writeFileSync(join(cwd, 'named.yaml'), 'port: 3\n')
    expect(at({ config: 'named.yaml' }).server.port).toBe(3)
  })

  test('has its safety rules pointed to the charter', () => {
    const { warnings } = load(
      'c.yaml',
      'safety: { autoApprovePatterns: [a] }\nbudget: { dailyLimit: 5, monthlyLimit: 20000000 }\n',
    )

    expect(warnings).toEqual([
      'safety in c.yaml has no effect: what is approved or refused stands in the charter, see CHARTER_FILE',
    ])
  })
})

describe('a variable WUNDR_<SECTION>_<KEY>', () => {
  const read = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd })

  test.each([
    ['WUNDR_DAEMON_PORT', '9090', (config: ReturnType<typeof read>) => config.server.port, 9090],
    ['WUNDR_DAEMON_MAX_SESSIONS', '7', (config) => config.server.maxSessions, 7],
    ['WUNDR_DAEMON_HEARTBEAT_INTERVAL_MS', '5000', (config) => config.server.heartbeatIntervalMs, 5_000],
    ['WUNDR_SECURITY_JWT_EXPIRATION', '2h', (config) => config.auth.jwtExpirationSeconds, 7_200],
    ['WUNDR_SECURITY_RATE_LIMIT_MAX', '5', (config) => config.auth.rateLimitMax, 5],
    ['WUNDR_MEMORY_MAX_HEAP_MB', '900', (config) => config.server.maxHeapMb, 900],
    ['WUNDR_LOGGING_LEVEL', 'warn', (config) => config.logging.level, 'warn'],
    ['WUNDR_MONITORING_METRICS_PORT', '1', (config) => config.monitoring.metricsPort, 1],
    ['WUNDR_TOKEN_BUDGET_DAILY', '5', (config) => config.budget.daily, 5],
    ['WUNDR_NODE_ENV', 'test', (config) => config.server.environment, 'test'],
  ] as readonly [string, string, (config: ReturnType<typeof read>) => unknown, unknown][])(
    '%s=%s is the setting of that name',
    (name, text, at, value) => {
      expect(at(read({ [name]: text }))).toBe(value)
      expect(read({ [name]: text }).warnings).toEqual([])
    },
  )

  test('counts less than the usual name, and is warned of when it is none', () => {
    expect(read({ DAEMON_PORT: '1', WUNDR_DAEMON_PORT: '2' }).server.port).toBe(1)
    expect(read({ WUNDR_DAEMON_PROT: '2', WUNDR_STATE_DIR: '/x' }).warnings).toEqual([
      'WUNDR_DAEMON_PROT is not a setting of this version and has no effect (did you mean WUNDR_DAEMON_PORT?)',
    ])
  })
})
