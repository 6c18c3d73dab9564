/**
 * Which words of the settings nobody may read.
 */
import { expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.js'
import { secretsOf } from '../../../src/config/secrets.js'

const secretsWith = (env: Readonly<Record<string, string>>) => secretsOf(loadConfig({ flags: {}, env, cwd: '/' }))

test('secrets are what secret settings hold, the keys of programs, and what stands in addresses', () => {
  const found = secretsWith({
    DAEMON_JWT_SECRET: 'j'.repeat(40),
    DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: 'k'.repeat(32), clientId: 'everybody-may-read-this' }]),
    DATABASE_URL: 'postgres://somebody:pass%2Fword@db.example/names?sslpassword=another',
    TOKEN_BUDGET_WEBHOOK_URL: 'https://user:hooked@hooks.example/in/the-path?key=in-the-query',
    OPENAI_API_KEY: 'sk-model',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-team=shown-to-the-collector,authorization=Basic-abc=',
  })

  expect(found).toEqual(expect.arrayContaining(['j'.repeat(40), 'k'.repeat(32), 'pass%2Fword', 'pass/word', 'another']))
  expect(found).toEqual(expect.arrayContaining(['hooked', 'in/the-path', 'in-the-query', 'sk-model']))
  expect(found).toEqual(expect.arrayContaining(['shown-to-the-collector', 'Basic-abc=']))
  expect(found.join()).not.toMatch(/somebody|db\.example|everybody|hooks/)
  expect(found).toEqual(found.toSorted((a, b) => b.length - a.length))
})

test('a password of a letter or two is no word to look for', () => {
  expect(secretsWith({ REDIS_PASSWORD: 'ab' })).not.toContain('ab')
})
