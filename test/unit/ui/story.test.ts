/**
 * What the dashboard makes of a session's log: items in order, as they stood after any event.
 */
import { describe, expect, test } from 'vitest'
import type { LoggedEvent, StreamChunk } from '../../../src/protocol/events.js'
import { type Story, storyUntil, type ToolItem } from '../../../ui/model/story.js'

let seq = 0
const event = (type: LoggedEvent['type'], fields: object = {}): LoggedEvent =>
  ({
    ...{ type, eventId: `1-${++seq}`, sessionId: 's', timestamp: '2026-11-27T10:00:00.000Z' },
    ...{ usage: { promptTokens: 10, completionTokens: 5, cost: 0, duration: 1_000 }, ...fields },
  }) as unknown as LoggedEvent

const start = (messageId: string) => event('stream_start', { messageId, metadata: { model: 'm' } })
const end = (messageId: string, text: string) =>
  event('stream_end', { messageId, text, toolCalls: [], metadata: { totalTokens: 7, cost: 0.5 } })
const chunk = (messageId: string, text: string) =>
  ({ type: 'stream_chunk', data: { messageId, chunk: text, sessionId: 's', offset: 0 } }) as unknown as StreamChunk
const call = { sessionId: 's', callId: 'c', toolName: 'bash_execute', toolInput: { command: 'ls' } }
const question = { taskId: 't', approvalId: 'a', callId: 'c', toolName: 'bash_execute', toolInput: {}, reason: 'r' }
const ask = () => event('approval_request', { ...question, level: 'confirm', expiresAt: '2026-11-27T10:10:00.000Z' })

function toldOf(...events: readonly LoggedEvent[]): Story {
  return storyUntil(events, events.length)
}

test('text appears as it comes, and the whole message takes its place at the end', () => {
  const story = toldOf(start('m1'))

  story.text(chunk('m1', 'Hel'))
  story.text(chunk('m1', 'lo'))
  expect(story.items).toMatchObject([{ kind: 'message', text: 'Hello', tokens: undefined }])

  story.tell(end('m1', 'Hello.'))
  expect(story.items).toMatchObject([{ kind: 'message', text: 'Hello.', tokens: 7 }])
  expect(story).toMatchObject({ tokens: 7, cost: 0.5 })
})

test('an item that changes is another object, and the others stay the same', () => {
  const story = toldOf(start('m1'), start('m2'))
  const [first, second] = story.items

  story.text(chunk('m2', 'x'))

  expect(story.items[0]).toBe(first)
  expect(story.items[1]).not.toBe(second)
})

test('a message that another owner goes on with stays one message', () => {
  const story = toldOf(start('m1'))
  story.text(chunk('m1', 'half'))

  story.tell(start('m1'))

  expect(story.items).toMatchObject([{ kind: 'message', text: 'half' }])
})

describe('a tool call', () => {
  test('runs and ends where it began', () => {
    const story = toldOf(event('tool_call_start', { data: call }), start('m2'))

    story.tell(event('tool_call_result', { data: { ...call, status: 'completed', result: { out: 'x' } } }))

    expect(story.items[0]).toMatchObject({ kind: 'tool', state: 'completed', output: { out: 'x' } })
    expect(story.items).toHaveLength(2)
  })

  test.each([
    ['approved', 'running'],
    ['rejected', 'failed'],
    ['expired', 'failed'],
  ])('that is asked about and %s is then %s, and keeps who decided', (status, state) => {
    const story = toldOf(ask())
    expect(story.items).toMatchObject([{ state: 'asking', approval: { approvalId: 'a', reason: 'r' } }])

    story.tell(event('approval_resolved', { ...question, status, decidedBy: 'alice', comment: 'no' }))

    expect(story.items).toMatchObject([{ state, approval: { outcome: status, by: 'alice', comment: 'no' } }])
  })

  test('that was approved keeps its answer when it starts', () => {
    const story = toldOf(ask(), event('approval_resolved', { ...question, status: 'approved', decidedBy: 'alice' }))

    story.tell(event('tool_call_start', { data: call }))

    expect(story.items).toHaveLength(1)
    expect((story.items[0] as ToolItem).approval?.by).toBe('alice')
  })
})

test('replay shows what had happened by then, whatever came later', () => {
  const task = event('task_executing', { taskId: 't', task: { description: 'go' }, turn: 1 })
  const events = [task, start('m1'), end('m1', 'done'), event('task_completed', { taskId: 't' })]

  const counts = events.map((_, index) => storyUntil(events, index + 1))

  expect(counts.map(({ items }) => items.length)).toEqual([1, 2, 2, 3])
  expect(counts.map(({ running }) => running)).toEqual(['t', 't', 't', undefined])
  expect(counts[1]?.items[1]).toMatchObject({ text: '' })
})

test('an event of a newer version is told by its name, and ends nothing', () => {
  const story = toldOf(event('moon_phase' as LoggedEvent['type']))

  expect(story.items).toMatchObject([{ kind: 'note', title: 'moon phase' }])
})
