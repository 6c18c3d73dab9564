/**
 * The client takes what continues its story, passes over what it knows, and notices what is missing.
 */
import { expect, test } from 'vitest'
import { Continuity } from '../../src/client/continuity.js'
import type { StreamChunk } from '../../src/protocol/events.js'

const chunk = (messageId: string, offset: number, text: string): StreamChunk => ({
  type: 'stream_chunk',
  data: { sessionId: 's', chunk: text, messageId, offset, metadata: { tokens: 1 } },
})

test('events are taken in sequence, also when a new owner goes on under a higher epoch', () => {
  const story = new Continuity()

  expect(['7-1', '7-2', '7-2', '7-1', '8-3', '8-5'].map((id) => story.event(id))).toEqual([
    'next',
    'next',
    'known',
    'known',
    'next',
    'gap',
  ])
  expect(story.position).toEqual({ eventId: '8-3' })
})

test('text is taken byte by byte: offsets count UTF-8', () => {
  const story = new Continuity()

  const verdicts = [
    chunk('m', 0, 'äö'),
    chunk('m', 0, 'äö'),
    chunk('m', 4, '🙂'),
    chunk('m', 9, 'late'),
    chunk('n', 3, 'x'),
    chunk('n', 0, 'x'),
  ].map((piece) => story.chunk(piece))

  expect(verdicts).toEqual(['next', 'known', 'next', 'gap', 'gap', 'next'])
  expect(story.text('m')).toBe('äö🙂')
  expect(story.position).toEqual({ eventId: '0-0', messageId: 'n', offset: 1 })
})

test('a story goes on from the position of another', () => {
  const first = new Continuity()
  first.event('3-1')
  first.chunk(chunk('m', 0, 'begun '))

  const second = new Continuity(first.position)

  expect(second.event('3-1')).toBe('known')
  expect(second.chunk(chunk('m', 6, 'and ended'))).toBe('next')
  expect(second.event('3-2')).toBe('next')
})

test('a reset forgets what was there', () => {
  const story = new Continuity()
  story.event('3-1')
  story.chunk(chunk('m', 0, 'gone'))

  story.reset({ eventId: '9-40' })

  expect(story.text('m')).toBe('')
  expect(story.event('9-41')).toBe('next')
  expect(story.chunk(chunk('m', 0, 'anew'))).toBe('next')
})
