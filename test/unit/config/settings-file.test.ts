/**
 * The file of --config: how settings are written there, what wins over it, and what is said when it is wrong.
 * Row FILES of docs/compatibility.md.
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
    expect(mistakesIn('c.toml', 'port = 1')).toEqual(['the settings file c.toml must end in .json, .yaml, .yml'])
  })

  test('that is a folder is refused', () => {
    mkdirSync(join(cwd, 'folder.json'))

    expect(mistakesIn('folder.json')[0]).toMatch(/^the settings file folder\.json could not be read: EISDIR/)
  })
})
