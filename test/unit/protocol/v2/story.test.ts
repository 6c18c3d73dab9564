/**
 * A session's story in the second protocol: a prompt is one stream, whatever model calls it takes.
 */
import { expect, test } from 'vitest'
import { LOGGED_EVENT_TYPES, type LoggedEvent, type StreamChunk } from '../../../../src/protocol/events.js'
import { V2_EVENTS } from '../../../../src/protocol/v2/events.js'
import { Story, type StoryStart } from '../../../../src/protocol/v2/story.js'

const SID = 's-1'
const USAGE = { promptTokens: 1, completionTokens: 2, cost: 3, duration: 4 }
const CALL = { totalTokens: 3, duration: 4, promptTokens: 1, completionTokens: 2, cost: 0 }
let seq = 0

const logged = (event: Readonly<Record<string, unknown>>): LoggedEvent =>
  ({ eventId: `1-${++seq}`, sessionId: SID, timestamp: '2026-01-01T00:00:00.000Z', ...event }) as unknown as LoggedEvent

const chunk = (messageId: string, offset: number, text: string): StreamChunk => ({
  type: 'stream_chunk',
  data: { sessionId: SID, messageId, offset, chunk: text, metadata: { tokens: 1 } },
})

const begins = (taskId: string) =>
  logged({ type: 'task_executing', taskId, turn: 1, task: { id: taskId, description: 'd', status: 'in_progress' } })
const calls = (messageId: string) => logged({ type: 'stream_start', messageId, metadata: { model: 'm' } })
const called = (messageId: string) =>
  logged({ type: 'stream_end', messageId, text: 'x', toolCalls: [], finishReason: 'stop', metadata: CALL })
const done = (taskId: string) =>
  logged({ type: 'task_completed', taskId, result: { success: true, output: 'out' }, usage: USAGE })

function tellAll(messages: readonly (LoggedEvent | StreamChunk)[], start: Partial<StoryStart> = {}) {
  const story = new Story(SID, { session: undefined, role: {}, ...start })
  return messages.flatMap((message) => story.tell(message))
}

const inShort = (events: ReturnType<typeof tellAll>) =>
  events.map(({ event, payload }) => {
    const { promptId, message, content } = payload as { promptId?: string; message?: string; content?: string }
    return [event, promptId, content ?? message].filter((part) => part !== undefined).join(' ')
  })

test('a prompt of several model calls is one stream', () => {
  const told = tellAll([
    ...[begins('t-1'), calls('m-1'), chunk('m-1', 0, 'a'), called('m-1')],
    ...[calls('m-2'), chunk('m-2', 0, 'b'), called('m-2'), done('t-1')],
  ])

  expect(inShort(told)).toEqual([
    'session.status t-1',
    'stream.start t-1',
    'stream.chunk t-1 a',
    'stream.progress t-1 stream end',
    'stream.progress t-1 model call',
    'stream.chunk t-1 b',
    'stream.progress t-1 stream end',
    'stream.end t-1',
  ])
})

test('each prompt has a stream of its own', () => {
  const told = tellAll([begins('t-1'), calls('m-1'), done('t-1'), begins('t-2'), calls('m-2'), done('t-2')])

  expect(inShort(told).filter((line) => line.startsWith('stream.start'))).toEqual([
    'stream.start t-1',
    'stream.start t-2',
  ])
})

test('a prompt that fails before its first model call has an end and no beginning', () => {
  const told = tellAll([
    begins('t-1'),
    logged({ type: 'task_failed', taskId: 't-1', error: 'no key', code: 'openai_key_missing', usage: USAGE }),
  ])

  expect(told.at(-1)).toMatchObject({
    event: 'stream.error',
    payload: { promptId: 't-1', error: { code: 'UNAVAILABLE', message: 'no key', retryable: false } },
  })
  expect(inShort(told)).not.toContain('stream.start t-1')
})

test('whoever comes new to a prompt that is under way hears a beginning; whoever goes on with it does not', () => {
  const session = { id: SID, type: 'llm', status: 'active', task: { id: 't-1', status: 'in_progress' } } as never

  const fresh = tellAll([chunk('m-1', 0, 'a'), chunk('m-1', 1, 'b'), done('t-1')], { session })
  const resumed = tellAll([chunk('m-1', 1, 'b'), calls('m-2'), done('t-1')], { session, promptId: 't-1' })

  expect(inShort(fresh)).toEqual(['stream.start t-1', 'stream.chunk t-1 a', 'stream.chunk t-1 b', 'stream.end t-1'])
  expect(inShort(resumed)).toEqual(['stream.chunk t-1 b', 'stream.progress t-1 model call', 'stream.end t-1'])
})

test('a client that goes on inside a former prompt is not told that it is the present one', () => {
  const session = { id: SID, type: 'llm', status: 'active', task: { id: 't-2', status: 'in_progress' } } as never

  const told = tellAll([called('m-1'), done('t-1'), begins('t-2'), calls('m-2')], { session, promptId: 't-1' })

  expect(inShort(told)).toEqual([
    'stream.progress t-1 stream end',
    'stream.end t-1',
    'session.status t-2',
    'stream.start t-2',
  ])
})

test('after a reset the session stands anew', () => {
  const story = new Story(SID, { session: undefined, role: {}, promptId: 'old' })
  const session = {
    ...{ id: SID, type: 'llm', status: 'active', task: { id: 't-9', status: 'in_progress' }, cost: 0 },
    metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
  } as never

  const reset = story.reset(session, '3-7')

  expect(reset).toMatchObject([
    {
      event: 'session.status',
      payload: { sessionId: SID, reset: true, eventId: '3-7', status: 'running', session: { id: SID } },
    },
  ])
  expect(inShort(story.tell(chunk('m-1', 0, 'a')) as never)).toEqual(['stream.start t-9', 'stream.chunk t-9 a'])
})

test('every type of the log is told, with its place', () => {
  for (const type of LOGGED_EVENT_TYPES) {
    const session = {
      ...{ id: SID, type: 'llm', status: 'terminated', task: null, cost: 0 },
      metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
    }
    const event = logged({
      ...{ type, taskId: 't', task: {}, session, usage: USAGE, result: { output: '' }, error: '', code: 'internal' },
      ...{ reason: '', messageId: 'm', metadata: {}, data: {}, status: 'approved', approvalId: 'a' },
    })
    const told = tellAll([event])
    expect(told.length, type).toBeGreaterThan(0)
    for (const { event: name, payload } of told) {
      expect(Object.keys(V2_EVENTS)).toContain(name)
      expect(payload).toMatchObject({ sessionId: SID, eventId: event.eventId, timestamp: event.timestamp })
    }
  }
})

test('a swarm that is no team is an agent, and a team is none', () => {
  const session = (metadata: object) => ({
    ...{ id: SID, type: 'claude-flow', status: 'active', task: { id: 't', metadata, updatedAt: 'now' }, cost: 0 },
    metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
  })
  const spawned = (metadata: object) => tellAll([logged({ type: 'session_spawned', session: session(metadata) })])
  const names = (metadata: object) => spawned(metadata).map(({ event }) => event)

  expect(names({ agent: { agentType: 'coder' } })).toEqual(['session.created', 'agent.spawned'])
  expect(names({})).toEqual(['session.created', 'agent.spawned'])
  expect(names({ team: { name: 'crew', strategy: 'custom', members: [] } })).toEqual(['session.created', 'team.status'])
})

test('a result of a swarm’s tool that cannot be read tells of no agent', () => {
  const data = { sessionId: SID, callId: 'c', toolName: 'mcp__swarm__agent_spawn', status: 'completed', timestamp: '' }
  const results = [
    undefined,
    {},
    { content: [{ type: 'text', text: '{' }] },
    { content: [{ text: '{"name":7}' }] },
    { value: 3 },
  ]

  for (const result of results) {
    const told = tellAll([logged({ type: 'tool_call_result', data: { ...data, result } })])
    expect(told.map(({ event }) => event)).toEqual(['tool.result'])
  }
})
