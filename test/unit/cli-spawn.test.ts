/**
 * What the options of `spawn` ask the service for, and the sentences for those that make no sense.
 */
import { expect, test } from 'vitest'
import { type RequestFlags, requestOf } from '../../src/cli/spawn-request.js'

const task = (more: object = {}) => ({ description: 'go', type: 'general', priority: 'medium', ...more })

test.each<[string, RequestFlags, object]>([
  ['nothing', {}, { task: task() }],
  [
    'what the task is',
    { taskId: 't-1', taskType: 'code', priority: 'critical', metadata: '{"ticket":"A-1"}' },
    { task: task({ id: 't-1', type: 'code', priority: 'critical', metadata: { ticket: 'A-1' } }) },
  ],
  [
    'whose the session is',
    { type: 'echo', orchestrator: 'planner', idempotencyKey: 'k' },
    { task: task(), sessionType: 'echo', orchestratorId: 'planner', idempotencyKey: 'k' },
  ],
  [
    'how it is run',
    { model: 'm', topology: 'ring', maxAgents: 3, mcp: ['github', 'mine=https://x.example/mcp?a=b'] },
    {
      task: task(),
      options: {
        ...{ model: 'm', topology: 'ring', maxAgents: 3 },
        mcpServers: ['github', { name: 'mine', url: 'https://x.example/mcp?a=b' }],
      },
    },
  ],
])('%s', (_what, flags, request) => {
  expect(requestOf('go', flags)).toEqual({ kind: 'spawn', request })
})

test.each<[RequestFlags, object]>([
  [{ at: '2027-01-31T09:00:00Z' }, { runAt: '2027-01-31T09:00:00Z' }],
  [{ delay: '15m' }, { delayMs: 900_000 }],
  [{ after: ['first', 'session_x/second'] }, { dependsOn: ['first', { sessionId: 'session_x', taskId: 'second' }] }],
  [{ cron: '0 9 * * *', timeZone: 'Europe/Berlin' }, { repeat: { cron: '0 9 * * *', timezone: 'Europe/Berlin' } }],
])('%j makes a task that waits', (flags, timing) => {
  const asked = requestOf('go', { ...flags, model: 'm', idempotencyKey: 'k' })

  expect(asked).toEqual({ kind: 'schedule', request: { task: task(timing), options: { model: 'm' }, key: 'k' } })
})

test.each<[RequestFlags, RegExp]>([
  [{ metadata: '[1]' }, /^--metadata must be a JSON object .* not \[1\]$/],
  [{ metadata: '{' }, /^--metadata must be a JSON object/],
  [{ at: 'tomorrow' }, /^--at: /],
  [{ delay: 'soon' }, /^--delay must be .*, not "soon"$/],
  [{ delay: '9999d' }, /^--delay: /],
  [{ timeZone: 'UTC' }, /^--time-zone is of no use without --cron$/],
  [{ cron: '' }, /^--cron: /],
  [{ mcp: ['no spaces here'] }, /^--mcp: /],
  [{ mcp: ['x=ftp://x'] }, /^--mcp: /],
  [{ mcp: ['a', 'a'] }, /^--mcp: each server has a name of its own$/],
  [{ model: '' }, /^--model: /],
  [{ taskId: 'x'.repeat(200) }, /^--task-id: /],
  [{ after: [''] }, /^--after: /],
])('%j gets a sentence that names the option', (flags, sentence) => {
  expect(() => requestOf('go', flags)).toThrow(sentence)
})

test('a task without a word gets one too', () => {
  expect(() => requestOf('  ', {})).toThrow('the task is empty')
})
