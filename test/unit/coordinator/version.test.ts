/**
 * The order of versions.
 */
import { expect, test } from 'vitest'
import { isOlder } from '../../../src/coordinator/version.js'

test('versions are compared number by number, not letter by letter', () => {
  expect(isOlder('2.9.0', '2.10.0')).toBe(true)
  expect(isOlder('2.10.0', '2.9.0')).toBe(false)
  expect(isOlder('2.1', '2.1.0')).toBe(false)
})

test('what follows the numbers does not matter', () => {
  expect(isOlder('2.1.0-rc.1', '2.1.0')).toBe(false)
  expect(isOlder('2.1.0', '2.1.0+build.7')).toBe(false)
})

test('nothing is older than an unknown version', () => {
  expect(isOlder('0.0.0', '')).toBe(false)
})
