/**
 * The bucket of one connection: a burst of 100 points, 20 come back in a second.
 */
import { expect, test } from 'vitest'
import { TokenBucket } from '../../src/edge/v2/token-bucket.js'

test('a burst is let through, and what is over it is told when to come again', () => {
  let now = 0
  const bucket = new TokenBucket(() => now)

  const burst = Array.from({ length: 20 }, () => bucket.take(5))
  const refused = bucket.take(5)
  now += 249
  const early = bucket.take(5)
  now += 1
  const inTime = bucket.take(5)

  expect(new Set(burst)).toEqual(new Set([undefined]))
  expect(refused).toBe(250)
  expect(early).toBe(1)
  expect(inTime).toBeUndefined()
})

test('it never holds more than a burst, however long nobody asks', () => {
  let now = 0
  const bucket = new TokenBucket(() => now)
  now += 3_600_000

  expect(bucket.take(100)).toBeUndefined()
  expect(bucket.take(1)).toBe(50)
})
