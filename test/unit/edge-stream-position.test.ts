/**
 * Where a reader of server-sent events goes on when its stream ends at any point.
 */
import { expect, test } from 'vitest'
import { positionOf, StreamPosition } from '../../src/edge/http/stream-position.js'

const MESSAGE = 'msg_01M8E0XMC473SPZ8TZX5QXSPWS'
const chunk = (offset: number, text: string) => ({
  ...{ type: 'stream_chunk', sessionId: 's', data: { messageId: MESSAGE, offset, chunk: text } },
})

test('a stream that ends before anything new has come is where the reader said that it was', () => {
  const position = new StreamPosition(positionOf(`7-42/${MESSAGE}/120`))

  expect(position.after({ type: 'subscribed', eventId: '7-42', reset: false })).toBe(`7-42/${MESSAGE}/120`)
  expect(position.after(chunk(120, 'äb'))).toBe(`7-42/${MESSAGE}/123`)
})

test('after a reset nothing counts of what the reader had', () => {
  const position = new StreamPosition(positionOf(`7-42/${MESSAGE}/120`))

  expect(position.after({ type: 'subscribed', eventId: '9-50', reset: true })).toBe('9-50')
})

test('the end of a message or of its task ends its text', () => {
  for (const type of ['stream_end', 'task_completed', 'task_failed', 'task_cancelled']) {
    const position = new StreamPosition(undefined)
    position.after({ type: 'stream_start', eventId: '1-1' })
    expect(position.after(chunk(0, 'ab'))).toBe(`1-1/${MESSAGE}/2`)
    expect(position.after({ type, eventId: '1-2' })).toBe('1-2')
  }
})

test('what is no part of the story has no position, and neither has anything before the first event', () => {
  const position = new StreamPosition(undefined)

  expect(position.after({ type: 'error' })).toBeUndefined()
  expect(position.after(chunk(0, 'ab'))).toBeUndefined()
})
