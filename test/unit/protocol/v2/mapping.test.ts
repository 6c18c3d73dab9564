/**
 * Words of the first protocol in those of the second: errors, scopes, patterns, sessions.
 */
import { describe, expect, test } from 'vitest'
import { errorReply } from '../../../../src/protocol/codec.js'
import { ERRORS, type ErrorCode, ServiceError } from '../../../../src/protocol/errors.js'
import type { Session } from '../../../../src/protocol/session.js'
import { errorShape, NATIVE, v2CodeOf } from '../../../../src/protocol/v2/frames.js'
import { JSON_RPC } from '../../../../src/protocol/v2/json-rpc.js'
import { METHODS } from '../../../../src/protocol/v2/methods.js'
import { filterSchema, matchesFilter, matchesPattern } from '../../../../src/protocol/v2/patterns.js'
import { grantedScopes } from '../../../../src/protocol/v2/scopes.js'
import { agentInfo, messageOf, messageText, roleOf, sessionInfo, teamInfo } from '../../../../src/protocol/v2/shapes.js'

const WORDS: Readonly<Record<number, string>> = {
  ...{ 400: 'INVALID_REQUEST', 405: 'INVALID_REQUEST', 413: 'INVALID_REQUEST', 422: 'INVALID_REQUEST' },
  ...{ 401: 'UNAUTHORIZED', 403: 'FORBIDDEN', 404: 'NOT_FOUND', 409: 'CONFLICT', 424: 'CONFLICT' },
  ...{
    429: 'RATE_LIMITED',
    500: 'INTERNAL',
    501: 'UNAVAILABLE',
    502: 'UNAVAILABLE',
    503: 'UNAVAILABLE',
    504: 'TIMEOUT',
  },
}

test('every code of the one table has a word of the second protocol, by its status', () => {
  for (const [code, { http }] of Object.entries(ERRORS)) {
    expect(WORDS[http], `${code} has status ${http}`).toBeDefined()
    expect(v2CodeOf(code)).toBe(code === 'protocol_mismatch' ? 'PROTOCOL_MISMATCH' : WORDS[http])
  }
  expect(v2CodeOf('of_a_newer_worker')).toBe('INTERNAL')
})

test('an error keeps its sentence, its code of the table, and when to try again', () => {
  const error = new ServiceError('busy', { retryAfterMs: 250 })

  const shape = errorShape(errorReply(error, { sessionId: 's', commandId: 'c' }))

  expect(shape).toEqual({
    ...{ code: 'RATE_LIMITED', message: error.message, retryable: true, retryAfterMs: 250 },
    details: { code: 'busy', sessionId: 's', commandId: 'c' },
  })
})

test('JSON-RPC has a number of its own for every word', () => {
  const numberOf = (code: ErrorCode) =>
    JSON.parse(JSON_RPC.refusal(1, errorShape(errorReply(new ServiceError(code))))).error.code as number
  const codes: ErrorCode[] = [
    ...(['invalid_message', 'jwt_expired', 'forbidden', 'session_not_found', 'idempotency_conflict', 'busy'] as const),
    ...([
      'internal',
      'unavailable',
      'outcome_unknown',
      'protocol_mismatch',
      'unknown_method',
      'invalid_payload',
    ] as const),
  ]

  const numbers = codes.map(numberOf)

  expect(new Set(numbers).size).toBe(codes.length)
  for (const number of numbers) expect(number).toBeLessThanOrEqual(-32000)
})

test('a refusal of a request that nobody can name is one all the same', () => {
  const error = errorShape(errorReply(new ServiceError('invalid_message')))

  expect(JSON.parse(NATIVE.refusal(undefined, error))).toMatchObject({ type: 'res', id: 'invalid', ok: false })
  expect(JSON.parse(JSON_RPC.refusal(undefined, error))).toMatchObject({ jsonrpc: '2.0', id: null })
})

describe('patterns', () => {
  test.each([
    ['*', 'stream.chunk', true],
    ['**', 'stream.chunk', true],
    ['stream.*', 'stream.chunk', true],
    ['stream.**', 'stream.chunk', true],
    ['*.status', 'team.status', true],
    ['stream.chunk', 'stream.chunk', true],
    ['stream.*', 'stream', false],
    ['stream', 'stream.chunk', false],
    ['stream.*', 'tool.status', false],
    ['str*', 'stream.chunk', false],
    ['error', 'error', true],
    ['stream.chunk.**', 'stream.chunk', true],
    ['a.b.c.**', 'stream.chunk', false],
  ])('%s means %s: %s', (pattern, event, means) => {
    expect(matchesPattern(pattern, event)).toBe(means)
  })

  test('a filter names values of the payload, not of what every object has', () => {
    expect(matchesFilter({ sessionId: 's', reset: true }, { sessionId: 's', reset: true, more: 1 })).toBe(true)
    expect(matchesFilter({ sessionId: 's' }, { sessionId: 't' })).toBe(false)
    expect(matchesFilter({ toString: 'x' }, {})).toBe(false)
    expect(matchesFilter(undefined, {})).toBe(true)
    expect(
      filterSchema.safeParse(Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, 1]))).success,
    ).toBe(false)
    expect(filterSchema.safeParse({ deep: { value: 1 } }).success).toBe(false)
  })
})

describe('scopes', () => {
  test('tell what the table of permissions allows', () => {
    expect(grantedScopes({ role: 'admin' }, undefined)).toHaveLength(5)
    expect(grantedScopes({ role: 'admin', scopes: ['*'] }, undefined)).toHaveLength(5)
    expect(grantedScopes({ role: 'admin', scopes: ['sessions:read'] }, undefined)).toEqual(['daemon.read'])
    expect(grantedScopes({ role: 'user', scopes: ['sessions:approve'] }, undefined)).toEqual(['daemon.approve'])
    expect(grantedScopes({ role: 'readonly' }, undefined)).toEqual(['daemon.read'])
    expect(grantedScopes({ role: 'readonly', scopes: [] }, undefined)).toEqual([])
  })

  test('are never more than was asked for, with what that brings along', () => {
    expect(grantedScopes({ role: 'admin' }, ['daemon.write'])).toEqual(['daemon.read', 'daemon.write'])
    expect(grantedScopes({ role: 'admin' }, [])).toEqual([])
    expect(grantedScopes({ role: 'user' }, ['daemon.admin'])).toEqual([
      ...['daemon.read', 'daemon.write', 'daemon.approve', 'daemon.teams'],
    ])
  })
})

test('methods cost what the reference says', () => {
  const costs = Object.fromEntries(
    Object.entries(METHODS).flatMap(([name, { cost }]) => (cost === 1 ? [] : [[name, cost]])),
  )

  expect(costs).toEqual({
    ...{ 'prompt.submit': 5, 'session.create': 3, 'agent.spawn': 3, 'team.create': 3 },
    ...{ 'memory.query': 2, 'memory.store': 2, 'memory.delete': 2, 'config.set': 2 },
  })
})

const SESSION: Session = {
  ...{ id: 's', orchestratorId: 'o', type: 'claude-flow', status: 'active', startedAt: 'then', cost: 0.5 },
  task: {
    ...{ id: 't', type: 'general', description: 'd', priority: 'medium', status: 'in_progress' },
    ...{ createdAt: 'then', updatedAt: 'now', metadata: { team: { name: 'crew', strategy: 'custom', members: [] } } },
  },
  memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
  metrics: { tokensUsed: 7, duration: 8, tasksCompleted: 9, errorsEncountered: 0, averageResponseTime: 0 },
}

test('a session is told in the words of the SDK', () => {
  expect(sessionInfo(SESSION)).toMatchObject({
    ...{ id: 's', sessionType: 'claude-flow', status: 'running', startedAt: 'then' },
    metrics: { tokensUsed: 7, durationMs: 8, tasksCompleted: 9 },
  })
  expect(sessionInfo({ ...SESSION, status: 'failed', endedAt: 'end', error: 'why' })).toMatchObject({
    ...{ status: 'failed', endedAt: 'end', error: 'why' },
  })
})

test.each([
  ['initializing', 'initializing', 'forming'],
  ['active', 'running', 'active'],
  ['paused', 'paused', 'paused'],
  ['completed', 'completed', 'completed'],
  ['failed', 'failed', 'failed'],
  ['terminated', 'stopped', 'dissolved'],
] as const)('a session that is %s is an agent that is %s and a team that is %s', (status, agent, team) => {
  const session = { ...SESSION, status }

  expect(agentInfo(session, {}).status).toBe(agent)
  expect(teamInfo(session, roleOf(session.task), undefined)).toMatchObject({ status: team, name: 'crew', agents: [] })
})

test('metadata that is not ours makes nobody an agent or a team', () => {
  expect(roleOf({ metadata: { agent: 'x', team: { name: 7 } } })).toEqual({ agent: undefined, team: undefined })
  expect(roleOf(null)).toEqual({ agent: undefined, team: undefined })
})

test('what was told to a team is found again in its task', () => {
  const about = { teamId: 's', messageId: 'm', from: 'boss' }
  const task = { ...SESSION.task, description: messageText(about, 'hurry'), metadata: { teamMessage: about } }

  expect(messageOf(task as never)).toEqual({ ...about, content: 'hurry' })
  expect(messageOf({ ...task, metadata: {} } as never)).toBeUndefined()
})
