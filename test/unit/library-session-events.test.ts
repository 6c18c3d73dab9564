/**
 * What a program is told of a session, message by message.
 */
import { expect, test } from 'vitest'
import { eventsOf } from '../../src/library/session-events.js'
import type { ServerMessage, TaskExecuting } from '../../src/protocol/events.js'
import { newTask, type Session, type SessionStatus } from '../../src/protocol/session.js'

const task = newTask('count', new Date(0))
const logged = { eventId: '1-1', sessionId: 'session_1', timestamp: new Date(0).toISOString() }
const sessionIn = (status: SessionStatus): Session => ({
  id: 'session_1',
  orchestratorId: 'planner',
  task: null,
  type: 'llm',
  status,
  startedAt: new Date(0).toISOString(),
  memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
  metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
  cost: 0,
})
const update = (status: SessionStatus): ServerMessage => ({
  ...logged,
  type: 'session_status_update',
  session: sessionIn(status),
})
const executing: TaskExecuting = { ...logged, type: 'task_executing', taskId: task.id, task, turn: 1 }

test.each([
  ['completed', ['session:completed']],
  ['terminated', ['session:stopped']],
  ['failed', ['session:failed']],
  ['paused', []],
  ['active', []],
] as const)('a session that is %s is told as %j', (status, names) => {
  const { session, events } = eventsOf(update(status), sessionIn('active'))

  expect(events.map(([name]) => name)).toEqual(names)
  expect(session).toMatchObject({ status })
})

test('a session that begins to work is told with the task that it works on', () => {
  const { events } = eventsOf(executing, sessionIn('active'))

  expect(events).toEqual([
    ['session:running', { ...sessionIn('active'), task }],
    ['task:executing', executing],
  ])
})

test('of a session that is not known yet only the task is told', () => {
  expect(eventsOf(executing, undefined)).toEqual({ session: undefined, events: [['task:executing', executing]] })
})

test('text and tool calls are not told', () => {
  const chunk = { sessionId: 'session_1', chunk: 'a', messageId: 'm', offset: 0, metadata: { tokens: 1 } }

  expect(eventsOf({ type: 'stream_chunk', data: chunk }, undefined).events).toEqual([])
})
