/**
 * The limits that hold for a session: of settings, of charters, and of overrides.
 */
import { expect, test } from 'vitest'
import { type HoldingOverride, LimitBook, type PeriodLimits } from '../../../src/budget/limits.js'

const SPENDER = { tenant: 'acme', orchestratorId: 'orch', sessionId: 's1' }
const SETTINGS = {
  session: { session: 2_000 },
  orchestrator: { daily: 100, weekly: 500 },
  tenant: { daily: 300 },
}

function book({
  charter = {},
  overrides = [],
}: {
  charter?: PeriodLimits
  overrides?: readonly HoldingOverride[]
} = {}) {
  const found: { list: readonly HoldingOverride[] | Error; times: number } = { list: overrides, times: 0 }
  const clock = { now: 0 }
  const errors: unknown[] = []
  const limits = new LimitBook({
    settings: SETTINGS,
    charter: { of: () => charter },
    findOverrides: async () => {
      found.times += 1
      if (found.list instanceof Error) throw found.list
      return found.list
    },
    onError: (error) => errors.push(error),
    clock: () => clock.now,
  })
  const shown = async (afresh = false) =>
    Object.fromEntries((await limits.of(SPENDER, afresh)).map((it) => [`${it.scope} ${it.id} ${it.period}`, it.tokens]))
  return { shown, found, clock, errors }
}

const raise: HoldingOverride = { scope: 'orchestrator', scopeId: 'orch', period: 'daily', tokens: 900, leftMs: 60_000 }

test('each session counts for itself, its orchestrator and its tenant', async () => {
  expect(await book().shown()).toEqual({
    'session s1 session': 2_000,
    'orchestrator orch daily': 100,
    'orchestrator orch weekly': 500,
    'tenant acme daily': 300,
  })
})

test('B-07: a charter makes limits smaller, or new, and never larger', async () => {
  const { shown } = book({ charter: { hourly: 10, daily: 80, weekly: 9_999, session: 50 } })
  expect(await shown()).toEqual({
    'session s1 session': 50,
    'orchestrator orch hourly': 10,
    'orchestrator orch daily': 80,
    'orchestrator orch weekly': 500,
    'tenant acme daily': 300,
  })
})

test('B-05: an override takes the place of both until it ends; of two the later one counts', async () => {
  const other: HoldingOverride = { ...raise, scopeId: 'another', tokens: 1 }
  const { shown, clock } = book({
    charter: { daily: 80 },
    overrides: [raise, other, { ...raise, tokens: 950, leftMs: 1_000 }],
  })

  expect((await shown())['orchestrator orch daily']).toBe(950)
  clock.now = 1_000
  expect((await shown())['orchestrator orch daily']).toBe(900)
  expect((await shown())['orchestrator another daily']).toBeUndefined()
})

test('a new override is found after five seconds, or at once by who asks afresh', async () => {
  const { shown, found, clock } = book()
  await shown()
  found.list = [raise]

  expect((await shown())['orchestrator orch daily']).toBe(100)
  expect((await shown(true))['orchestrator orch daily']).toBe(900)
  found.list = []
  clock.now = 4_999
  expect((await shown())['orchestrator orch daily']).toBe(900)
  clock.now = 5_000
  expect((await shown())['orchestrator orch daily']).toBe(100)
  expect(found.times).toBe(3)
})

test('while the database is away the overrides known last hold on, and it is not asked by every call', async () => {
  const { shown, found, clock, errors } = book({ overrides: [raise] })
  await shown()
  found.list = new Error('away')
  clock.now = 6_000

  expect((await shown())['orchestrator orch daily']).toBe(900)
  expect((await shown())['orchestrator orch daily']).toBe(900)
  expect(errors).toHaveLength(1)
  expect(found.times).toBe(2)
})
