/**
 * When an orchestrator that fails is left alone, and how it comes back.
 */
import { expect, test } from 'vitest'
import { circuitOf, errorRateOf } from '../../../src/federation/circuit.js'
import type { Outcome } from '../../../src/protocol/federation.js'

const SECOND = 1_000

/** A story such as `ooxx`, oldest first: o succeeded, x failed, a second apart, the last one `agoMs` ago. */
const story = (text: string, agoMs = SECOND): Outcome[] =>
  [...text].map((end, index) => ({ failed: end === 'x', ageMs: agoMs + (text.length - 1 - index) * SECOND }))

test.each([
  ['', 'closed'],
  ['xx', 'closed'],
  ['xxx', 'open'],
  ['ooox', 'closed'],
  ['ooooxxx', 'closed'],
  ['oooxxx', 'open'],
  ['xoxox', 'open'],
  ['oooooooooooxxxo', 'closed'],
])('after %j it is %s', (text, state) => {
  expect(circuitOf(story(text))).toBe(state)
})

test('half a minute after its last failure it may try again, with a few tasks', () => {
  expect(circuitOf(story('xxx', 29 * SECOND))).toBe('open')
  expect(circuitOf(story('xxx', 30 * SECOND))).toBe('half-open')
})

test('D-18: three tasks in a row that succeed make it sound, and what was before is forgotten', () => {
  const failed = story('xxx', 60 * SECOND)
  const then = (text: string) => circuitOf([...failed, ...story(text)])

  expect([then('o'), then('oo'), then('ooo')]).toEqual(['half-open', 'half-open', 'closed'])
  expect([then('ooox'), then('oooxx'), then('oooxxx')]).toEqual(['closed', 'closed', 'open'])
})

test('one that fails while it tries is left alone again', () => {
  const failed = story('xxx', 60 * SECOND)

  expect(circuitOf([...failed, ...story('oox')])).toBe('open')
  expect(circuitOf([...failed, ...story('oox', 31 * SECOND)])).toBe('half-open')
})

test('what is older than five minutes says nothing of now', () => {
  expect(circuitOf(story('xxxxx', 300 * SECOND))).toBe('closed')
  expect(errorRateOf(story('xxxxx', 300 * SECOND))).toBe(0)
  expect(errorRateOf([...story('x', 301 * SECOND), ...story('ooox')])).toBe(0.25)
})

test('the order in which ends are told changes nothing', () => {
  const outcomes = story('oxxoxxo')

  expect(circuitOf([...outcomes].reverse())).toBe(circuitOf(outcomes))
})
