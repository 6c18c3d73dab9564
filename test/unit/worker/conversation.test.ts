import { expect, test } from 'vitest'
import type { NewEvent } from '../../../src/protocol/events.js'
import { newTask } from '../../../src/protocol/session.js'
import { Conversation } from '../../../src/worker/conversation.js'

const base = { sessionId: 's', timestamp: '2026-01-01T00:00:00.000Z' }
const task = { ...newTask('count the files', new Date(0)), id: 't1' }
const usage = { promptTokens: 7, completionTokens: 3, cost: 0.5, duration: 1 }
const call = { callId: 'c1', name: 'file_list', input: { path: '.' } }

const began: NewEvent = { type: 'task_executing', ...base, taskId: 't1', task, turn: 1 }
const started: NewEvent = { type: 'stream_start', ...base, messageId: 'm1', metadata: { model: 'x' } }
const asked: NewEvent = {
  type: 'stream_end',
  ...base,
  messageId: 'm1',
  text: 'I look',
  toolCalls: [call],
  finishReason: 'tool_calls',
  metadata: { totalTokens: 10, duration: 1, promptTokens: 7, completionTokens: 3, cost: 0.5 },
}
const toolData = { sessionId: 's', callId: 'c1', toolName: 'file_list', timestamp: base.timestamp }
const called: NewEvent = {
  type: 'tool_call_start',
  ...base,
  data: { ...toolData, toolInput: call.input, effect: 'read', status: 'started' },
}
const answered: NewEvent = {
  type: 'tool_call_result',
  ...base,
  data: { ...toolData, status: 'completed', result: { count: 3 } },
}
const taken = (attempt: number): NewEvent => ({
  type: 'session_takeover',
  ...base,
  taskId: 't1',
  fromWorker: 'a',
  worker: 'b',
  attempt,
  afterMs: 1,
})
const ended: NewEvent = {
  type: 'task_completed',
  ...base,
  taskId: 't1',
  result: { success: true, output: 'three' },
  usage,
}

function after(...events: readonly NewEvent[]): Conversation {
  const conversation = new Conversation(() => 'context')
  for (const event of events) conversation.apply(event)
  return conversation
}

test('a turn that only began has the task and nothing open', () => {
  const progress = after(began).progress(undefined)

  expect(progress).toMatchObject({ openMessage: undefined, openCalls: [], steps: 0 })
  expect(progress.messages).toHaveLength(1)
  expect(progress.messages[0]).toMatchObject({ role: 'user', text: expect.stringContaining('count the files') })
})

test('an answer that was cut is open with the text that was shown, and only with its own', () => {
  const conversation = after(began, started)

  expect(conversation.progress({ messageId: 'm1', text: 'I lo' }).openMessage).toEqual({
    messageId: 'm1',
    text: 'I lo',
  })
  expect(conversation.progress({ messageId: 'm0', text: 'old' }).openMessage).toEqual({ messageId: 'm1', text: '' })
})

test.each([
  ['asked for', [began, started, asked], [{ ...call, started: false }]],
  ['started', [began, started, asked, called], [{ ...call, started: true, effect: 'read' }]],
  ['answered', [began, started, asked, called, answered], []],
])('a tool call that was %s is open accordingly', (_what, events, open) => {
  expect(after(...events).progress(undefined).openCalls).toEqual(open)
})

test('attempts count takeovers since the last finished step', () => {
  const conversation = after(began, started, taken(1), taken(2))
  expect(conversation.open?.attempts).toBe(2)

  conversation.apply(asked)
  expect(conversation.open?.attempts).toBe(0)
})

test('the usage of a turn is the sum of its answers', () => {
  expect(after(began, started, asked).usage(Date.parse(base.timestamp) + 2_000)).toEqual({
    promptTokens: 7,
    completionTokens: 3,
    cost: 0.5,
    duration: 2_000,
  })
})

test('the next task continues the same conversation', () => {
  const next: NewEvent = { ...began, taskId: 't2', task: { ...task, id: 't2', description: 'and now?' }, turn: 2 }
  const progress = after(began, started, asked, called, answered, ended, next).progress(undefined)

  expect(progress.steps).toBe(0)
  expect(progress.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user'])
})

test('a runtime that looks back at its task alone is given nothing of the tasks before', () => {
  const conversation = new Conversation(() => 'task')
  const next: NewEvent = { ...began, taskId: 't2', task: { ...task, id: 't2', description: 'and now?' }, turn: 2 }
  for (const event of [began, started, asked, called, answered, ended, next]) conversation.apply(event)

  expect(conversation.progress(undefined).messages).toMatchObject([{ text: expect.stringContaining('and now?') }])
})

test('a runtime that never looks back costs no memory', () => {
  const conversation = new Conversation(() => 'nothing')
  for (const event of [began, started, asked, called, answered, ended]) conversation.apply(event)

  expect(conversation.progress(undefined).messages).toEqual([])
})
