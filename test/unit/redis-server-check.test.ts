/**
 * What the service says of a Redis before it trusts it.
 */
import { expect, test } from 'vitest'
import { checkServer } from '../../src/redis/server-check.js'

const info = (more: Readonly<Record<string, string>> = {}): string =>
  Object.entries({ redis_version: '7.0.15', maxmemory_policy: 'noeviction', aof_enabled: '1', ...more })
    .map(([field, value]) => `${field}:${value}\r\n`)
    .join('')

test('a Redis with an append-only file that evicts nothing is taken without a word', () => {
  expect(checkServer(info())).toEqual([])
})

test.each(['6.2.14', '5.0.0', 'unknown'])('version %s is refused', (redis_version) => {
  expect(() => checkServer(info({ redis_version }))).toThrow(`Redis is ${redis_version}; 7.0 or newer is needed`)
})

test('a newer one is taken', () => {
  expect(checkServer(info({ redis_version: '10.0.1' }))).toEqual([])
})

test.each(['allkeys-lru', 'volatile-ttl'])('one that evicts keys by %s is refused', (maxmemory_policy) => {
  expect(() => checkServer(info({ maxmemory_policy }))).toThrow(/set it to noeviction/)
})

test('one without an append-only file is taken with a warning', () => {
  expect(checkServer(info({ aof_enabled: '0' }))).toEqual([expect.stringContaining('appendonly yes')])
})

test('a service that does not tell its policy is taken', () => {
  expect(checkServer('redis_version:7.2.4\r\n')).toEqual([])
})
