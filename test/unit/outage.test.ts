/**
 * Waiting for a database that is away.
 */
import { expect, test } from 'vitest'
import { ServiceError } from '../../src/protocol/errors.js'
import { isOutage, throughOutage } from '../../src/storage/outage.js'

const refused = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
const never = () => new Promise<never>(() => {})

test('what answers after some failures is answered', async () => {
  let attempts = 0
  const answer = await throughOutage(async () => {
    if (++attempts < 4) throw refused()
    return 'here'
  })
  expect([answer, attempts]).toEqual(['here', 4])
})

test.each([
  ['refuses connections', async () => Promise.reject(refused())],
  ['says nothing', never],
])('a database that %s is given up after the patience, as unavailable', async (_name, ask) => {
  const startedAt = performance.now()
  await expect(throughOutage(ask, { patienceMs: 200 })).rejects.toMatchObject({ code: 'unavailable' })
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(195)
})

test('after the end nobody asks any more', async () => {
  let attempts = 0
  const ask = async () => {
    attempts++
    throw refused()
  }
  await expect(throughOutage(ask, { patienceMs: 100 })).rejects.toThrow(ServiceError)
  const before = attempts
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(attempts).toBe(before)
})

test.each([
  ['waits', async () => Promise.reject(refused())],
  ['hangs', never],
])('an abort ends a call that %s, with its reason', async (_name, ask) => {
  const abort = new AbortController()
  const reason = { kind: 'cancelled' }
  const waiting = throughOutage(ask, { signal: abort.signal })
  abort.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})

test('a failure that is an answer is not asked for again', async () => {
  let attempts = 0
  const ask = async () => {
    attempts++
    throw Object.assign(new Error('duplicate key'), { code: '23505' })
  }
  await expect(throughOutage(ask)).rejects.toThrow('duplicate key')
  expect(attempts).toBe(1)
})

test.each([
  ['a refused connection', refused(), true],
  ['a shutdown by the administrator', Object.assign(new Error('terminating'), { code: '57P01' }), true],
  ['a server that starts', Object.assign(new Error('starting up'), { code: '57P03' }), true],
  ['too many connections', Object.assign(new Error('too many'), { code: '53300' }), true],
  ['a connection that broke', new Error('Connection terminated unexpectedly'), true],
  ['a query without an answer', new Error('Query read timeout'), true],
  ['a mistake in SQL', Object.assign(new Error('syntax'), { code: '42601' }), false],
  ['a bug of ours', new TypeError('x is undefined'), false],
  ['a word for the user', new ServiceError('unavailable', { reason: 'stopping' }), false],
])('%s: outage %#', (_name, error, expected) => {
  expect(isOutage(error)).toBe(expected)
})
