/**
 * One delegation on its way: which outcomes end it, which are tried again, and with whom.
 */
import { expect, test, vi } from 'vitest'
import { type Assigned, type AttemptOutcome, attemptId } from '../../../src/federation/attempt.js'
import { DelegationRun } from '../../../src/federation/delegation-run.js'
import { type DelegationResult, delegationSchema, type Orchestrator } from '../../../src/protocol/federation.js'
import type { DelegationRow } from '../../../src/storage/delegations.js'

const usage = { promptTokens: 1, completionTokens: 2, cost: 0, duration: 3 }
const event = { eventId: '1-1', sessionId: 's', timestamp: '', taskId: 'd', usage }
const ended = (end: object): AttemptOutcome => ({ status: 'ended', sessionId: 's', end: { ...event, ...end } as never })
const completed = ended({ type: 'task_completed', result: { success: true, output: 'done' } })
const failed = (code: string) => ended({ type: 'task_failed', code, error: code })
const cancelled = ended({ type: 'task_cancelled', reason: 'stopped' })
const refused = (reason: 'overloaded' | 'rejected', retry: boolean): AttemptOutcome => ({
  status: 'refused',
  reason,
  retry,
  code: 'busy',
  error: 'e',
})

const row = (more: Partial<DelegationRow> = {}): DelegationRow => ({
  tenant: 't',
  id: 'd',
  owner: 'o',
  request: delegationSchema.parse({ task: { id: 'mine', description: 'x' }, retries: 1 }),
  status: 'pending',
  target: null,
  sessionId: null,
  sessionType: null,
  reused: false,
  attempt: 0,
  failures: 0,
  tried: [],
  cancelRequested: false,
  result: null,
  traceparent: null,
  leftMs: 60_000,
  ageMs: 0,
  ...more,
})

const orchestrator = (id: string): Orchestrator => ({
  ...{ id, capabilities: [], region: null, tier: 1, sessionType: 'echo', groups: [], maxSessions: 1, maxTokens: null },
  ...{
    tokensUsed: 0,
    activeSessions: 0,
    outcomes: [],
    status: 'online',
    registeredAt: new Date(),
    heartbeatAt: new Date(),
  },
})

/** Carries one row through, with a runner that always has the same outcome. */
async function carryOut(start: DelegationRow, outcome: AttemptOutcome, options: { cancelled?: boolean } = {}) {
  const cancel = new AbortController()
  if (options.cancelled) cancel.abort()
  const run = vi.fn(async (_attempt: Assigned, _resumed: boolean) => outcome)
  const postpone = vi.fn(async (_row: DelegationRow, _pauseMs: number) => undefined)
  const results: DelegationResult[] = []
  const delegations = {
    assign: async (seen: DelegationRow, target: string) => ({ ...seen, target, attempt: seen.attempt + 1 }),
    noteSession: async () => undefined,
    postpone,
    finish: async (_seen: unknown, result: DelegationResult) => results.push(result) > 0,
  }
  const deps = {
    delegations,
    orchestrators: { list: async () => [orchestrator('a'), orchestrator('b')] },
    runner: { run },
    onAssigned: () => undefined,
    onFinished: () => undefined,
  }
  const signals = { cancel: cancel.signal, abandon: new AbortController().signal }
  await new DelegationRun(deps, signals).carryOut(start)
  return { run, pauses: postpone.mock.calls.map(([, pauseMs]) => pauseMs), results }
}

test('a task that is completed ends the delegation with its output and usage, under the id it was asked for', async () => {
  const { results } = await carryOut(row(), completed)

  expect(results).toMatchObject([{ status: 'completed', output: 'done', usage, taskId: 'mine', orchestrator: 'a' }])
})

test.each<[string, AttemptOutcome, Partial<DelegationRow>, Partial<DelegationResult> | 'again']>([
  ['a task that failed for a while', failed('model_network'), {}, 'again'],
  ['the same when no retry is left', failed('model_network'), { failures: 1 }, { reason: 'rejected' }],
  ['a task that failed for good', failed('model_auth'), {}, { reason: 'rejected', code: 'model_auth' }],
  ['a task that failed with a code of its own', failed('toString'), {}, { reason: 'rejected', code: 'toString' }],
  ['a refusal for lack of room', refused('overloaded', true), {}, 'again'],
  ['the same when no retry is left', refused('overloaded', true), { failures: 1 }, { reason: 'overloaded' }],
  ['a refusal for good', refused('rejected', false), {}, { reason: 'rejected', code: 'busy' }],
  ['an outcome that nobody knows', { status: 'unknown', sessionId: 's' }, {}, { code: 'outcome_unknown' }],
  ['a task that somebody cancelled', cancelled, {}, { status: 'cancelled' }],
])('%s leads where it should', async (_what, outcome, start, end) => {
  const { pauses, results } = await carryOut(row(start), outcome)

  expect(pauses).toEqual(end === 'again' ? [1_000] : [])
  expect(results).toMatchObject(end === 'again' ? [] : [end])
})

test('what somebody else goes on with is left as it stands', async () => {
  const { pauses, results } = await carryOut(row(), { status: 'abandoned' })

  expect([pauses, results]).toEqual([[], []])
})

test('an attempt under way is gone on with, not started anew', async () => {
  const { run } = await carryOut(row({ target: 'b', attempt: 1, sessionId: 's' }), completed)

  expect(run.mock.calls.map((call) => call.slice(0, 2))).toMatchObject([[{ target: 'b', attempt: 1 }, true]])
})

test('D-16: the next attempt goes to another, under ids of its own', async () => {
  const { run } = await carryOut(row({ tried: ['a'], attempt: 1, failures: 1 }), completed)

  const [[attempt, resumed] = []] = run.mock.calls
  expect(attempt).toMatchObject({ target: 'b', attempt: 2 })
  expect(resumed).toBe(false)
  expect([attemptId({ id: 'd', attempt: 1 }), attemptId({ id: 'd', attempt: 2 })]).toEqual(['d', 'd.2'])
})

test('what is cancelled or late before it began never begins', async () => {
  const stopped = await carryOut(row(), completed, { cancelled: true })
  const late = await carryOut(row({ leftMs: 0 }), completed)

  expect(stopped.results).toMatchObject([{ status: 'cancelled', attempts: 0 }])
  expect(late.results).toMatchObject([{ status: 'failed', reason: 'timeout', attempts: 0 }])
  expect([...stopped.run.mock.calls, ...late.run.mock.calls]).toEqual([])
})
