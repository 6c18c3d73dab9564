/**
 * Who gets a delegated task.
 */
import { describe, expect, test } from 'vitest'
import { chooseTarget, rate } from '../../../src/federation/score.js'
import { type Needs, needsSchema, type Orchestrator, type Outcome } from '../../../src/protocol/federation.js'

const orchestrator = (id: string, more: Partial<Orchestrator> = {}): Orchestrator => ({
  id,
  capabilities: [],
  region: null,
  tier: 1,
  sessionType: 'llm',
  groups: [],
  maxSessions: 10,
  maxTokens: null,
  tokensUsed: 0,
  activeSessions: 0,
  outcomes: [],
  status: 'online',
  registeredAt: new Date(0),
  heartbeatAt: new Date(0),
  ...more,
})

/** Ends of attempts, of which the first ones failed; a second lies between two. */
const ended = (count: number, failures: number, ageMs = 1_000): Outcome[] =>
  Array.from({ length: count }, (_, index) => ({ ageMs: ageMs + index * 1_000, failed: index >= count - failures }))

const needs = (more: Partial<Needs> = {}): Needs => needsSchema.parse(more)

function winner(all: readonly Orchestrator[], wanted = needs(), ...rest: [('low' | 'critical')?, string[]?]) {
  const chosen = chooseTarget(all, wanted, rest[0] ?? 'medium', rest[1])
  return chosen.status === 'chosen' ? chosen.choice.orchestrator : chosen.reason
}

describe('of two that are otherwise equal', () => {
  test.each<[string, Partial<Orchestrator>, Partial<Needs>]>([
    ['the one with the preferred capabilities', { capabilities: ['ts'] }, { preferredCapabilities: ['ts'] }],
    ['the one with less to do', {}, {}],
    ['the one in the preferred region', { region: 'eu' }, { region: 'eu' }],
    ['the one where less has failed', { outcomes: ended(10, 1) }, {}],
    ['the one with more tokens left', { maxTokens: 100, tokensUsed: 10 }, {}],
  ])('%s gets the task', (_which, better, wanted) => {
    const failing = { outcomes: ended(10, 2) }
    const worse = { activeSessions: 5, ...(better.maxTokens && { maxTokens: 100, tokensUsed: 90, activeSessions: 0 }) }
    const same = better.region || better.capabilities ? {} : better.outcomes ? failing : worse

    expect(winner([orchestrator('a', same), orchestrator('b', better)], needs(wanted))).toBe('b')
  })

  test('the one that is made for it gets the task, before one that can do everything', () => {
    const all = [orchestrator('a', { capabilities: ['x', 'y', 'z'] }), orchestrator('b', { capabilities: ['x'] })]

    expect(winner(all, needs({ capabilities: ['x'] }))).toBe('b')
  })

  test('an urgent task goes to the higher tier, and for one that is not it makes no difference', () => {
    const all = [orchestrator('a'), orchestrator('b', { tier: 5 })]

    expect([winner(all, needs(), 'critical'), winner(all, needs(), 'low')]).toEqual(['b', 'a'])
  })

  test('the first by id gets it, whatever the order in which they are given', () => {
    const [a, b] = [orchestrator('a'), orchestrator('b')]

    expect([winner([a, b]), winner([b, a])]).toEqual(['a', 'a'])
  })
})

test('the one with fewer to serve gets the task, where the share of both is the same', () => {
  const all = [
    orchestrator('a', { activeSessions: 8, maxSessions: 80 }),
    orchestrator('b', { activeSessions: 1, maxSessions: 10 }),
  ]

  expect(winner(all)).toBe('b')
})

test('D-18: one whose attempts fail one after the other gets nothing, and alone is not there', () => {
  const failing = orchestrator('a', { outcomes: ended(3, 3), tier: 5, capabilities: ['x'] })
  const busy = orchestrator('b', { activeSessions: 9, capabilities: ['x'] })

  expect(winner([failing, busy], needs({ capabilities: ['x'] }), 'critical')).toBe('b')
  expect(winner([failing])).toBe('unreachable')
  expect(winner([failing, busy], needs({ to: 'a' }))).toBe('unreachable')
  expect(winner([{ ...failing, outcomes: ended(3, 3, 31_000) }])).toBe('a')
})

test('one that has tried comes after all others, and is asked again when there is nobody else', () => {
  const all = [orchestrator('a'), orchestrator('b', { activeSessions: 9 })]

  expect(winner(all, needs(), 'low', ['a'])).toBe('b')
  expect(winner(all, needs(), 'low', ['a', 'b'])).toBe('a')
})

test.each<[string, Orchestrator[], Partial<Needs>]>([
  ['capability_mismatch', [orchestrator('a', { capabilities: ['x'] })], { capabilities: ['x', 'y'] }],
  ['capability_mismatch', [], {}],
  ['unreachable', [orchestrator('a', { status: 'offline' })], {}],
  ['unreachable', [orchestrator('a')], { to: 'b' }],
  ['overloaded', [orchestrator('a', { status: 'busy', activeSessions: 10 })], {}],
  ['overloaded', [orchestrator('a', { maxTokens: 10, tokensUsed: 8 })], { minAvailableTokens: 3 }],
  ['overloaded', [orchestrator('a'), orchestrator('b', { status: 'busy' })], { to: 'b' }],
])('where nobody can take it the reason is %s', (reason, all, wanted) => {
  expect(winner(all, needs(wanted))).toBe(reason)
})

test('D-03, D-04, D-16: the points are those that the table names, at most 120, and each has its reason', () => {
  const best = orchestrator('a', { capabilities: ['x', 'p'], region: 'eu', tier: 5, maxTokens: 10 })
  const wanted = needs({ capabilities: ['x'], preferredCapabilities: ['p'], region: 'eu' })
  const worst = orchestrator('b', {
    capabilities: ['x', ...Array.from({ length: 12 }, (_, index) => `c${index}`)],
    activeSessions: 9,
    maxTokens: 10,
    tokensUsed: 9,
    outcomes: ended(10, 2),
  })

  expect(rate(best, wanted, 'critical')).toMatchObject({ orchestrator: 'a', score: 120 })
  expect(rate(worst, wanted, 'low')).toMatchObject({ orchestrator: 'b', score: 33 })
  expect(rate(best, wanted, 'critical').reasons).toHaveLength(9)
})
