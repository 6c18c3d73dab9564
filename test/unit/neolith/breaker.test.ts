/**
 * The breaker before Neolith, by a clock of the test.
 */
import { expect, test } from 'vitest'
import { Breaker } from '../../../src/neolith/breaker.js'

function broken() {
  const clock = { now: 0 }
  const breaker = new Breaker({ clock: () => clock.now })
  for (let i = 0; i < 5; i++) {
    expect(breaker.admit()).toBeUndefined()
    breaker.failed()
  }
  return { breaker, clock }
}

test('failures that are not in a row keep it closed', () => {
  const breaker = new Breaker({ clock: () => 0 })

  for (let i = 0; i < 20; i++) (i % 5 === 4 ? breaker.succeeded : breaker.failed).call(breaker)

  expect(breaker.state).toBe('closed')
})

test('an open one says how long to wait, and then lets one call through', () => {
  const { breaker, clock } = broken()
  expect(breaker.admit()).toBe(2_000)

  clock.now = 2_000

  expect(breaker.admit()).toBeUndefined()
  expect(breaker.state).toBe('half-open')
  expect(breaker.admit()).toBe(2_000)
})

test('each call that fails doubles the pause, up to half a minute', () => {
  const { breaker, clock } = broken()
  const pauses: (number | undefined)[] = []

  for (let i = 0; i < 6; i++) {
    const pause = breaker.admit() ?? 0
    pauses.push(pause)
    clock.now += pause
    breaker.admit()
    breaker.failed()
  }

  expect(pauses).toEqual([2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
})

test('a call that gets through closes it, and the next pause is short again', () => {
  const { breaker, clock } = broken()
  clock.now = 2_000
  breaker.admit()
  breaker.failed()
  clock.now = 6_000
  breaker.admit()

  breaker.succeeded()

  expect(breaker.state).toBe('closed')
  for (let i = 0; i < 5; i++) breaker.failed()
  expect(breaker.admit()).toBe(2_000)
})

test('a call that never comes back does not keep it half-open', () => {
  const { breaker, clock } = broken()
  clock.now = 2_000
  breaker.admit()

  clock.now = 4_000

  expect(breaker.admit()).toBeUndefined()
})

test('calls that were under way when it opened do not prolong the pause', () => {
  const { breaker, clock } = broken()
  clock.now = 1_000

  breaker.failed()

  expect(breaker.admit()).toBe(1_000)
})
