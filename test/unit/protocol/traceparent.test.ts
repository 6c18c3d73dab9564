/**
 * Places in a trace as clients write them.
 */
import { expect, test } from 'vitest'
import { decode } from '../../../src/protocol/codec.js'
import { contextOf, isSampled, isTraceparent } from '../../../src/protocol/traceparent.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

test.each([
  [`00-${TRACE}-${SPAN}-01`, true],
  [`00-${TRACE}-${SPAN}-00`, true],
  // A later version may add to it.
  [`01-${TRACE}-${SPAN}-01-more`, true],
  [`ff-${TRACE}-${SPAN}-01`, false],
  [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
  [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
  [`00-${TRACE}-${SPAN}-01x`, false],
  ['', false],
])('%s is one: %s', (text, expected) => {
  expect(isTraceparent(text)).toBe(expected)
})

test.each([
  ['00', false],
  ['01', true],
  ['02', false],
  ['03', true],
])('flags %s say that it is recorded: %s', (flags, expected) => {
  expect(isSampled(`00-${TRACE}-${SPAN}-${flags}`)).toBe(expected)
})

test('a message may carry one; what is none is passed over, and what is too long is refused', () => {
  const said = (traceparent: unknown) => decode(JSON.stringify({ type: 'ping', traceparent }))
  const good = said(`00-${TRACE}-${SPAN}-01`)
  const bad = said('over there')

  expect(good.ok && contextOf(good.message)).toBe(`00-${TRACE}-${SPAN}-01`)
  expect(bad.ok && contextOf(bad.message)).toBeUndefined()
  expect(said('x'.repeat(129)).ok).toBe(false)
  expect(said(7).ok).toBe(false)
})
