/**
 * What a session may use: reserved before a call, settled after it.
 */
import { expect, test } from 'vitest'
import { Ledger } from '../../../src/budget/ledger.js'
import { type HoldingOverride, LimitBook } from '../../../src/budget/limits.js'
import { MemoryMeter } from '../../../src/budget/memory-meter.js'
import type { Crossing, Meter } from '../../../src/budget/meter.js'
import { TokenBudgets } from '../../../src/budget/token-budgets.js'
import type { LedgerRow } from '../../../src/storage/budget-ledger.js'

const SPENDER = { tenant: 'acme', orchestratorId: 'orch', sessionId: 's1' }
const NEVER = new AbortController().signal
const used = (tokens: number) => ({ promptTokens: tokens, completionTokens: 0 })

function fixture({ daily = 1_000, meter = new MemoryMeter() as Meter, ledgerSum = async () => 0, waitMs = 200 } = {}) {
  const rows: LedgerRow[] = []
  const crossings: Crossing[] = []
  const overrides: HoldingOverride[] = []
  const counts = { refused: 0, unsettled: 0 }
  const budgets = new TokenBudgets({
    meter,
    ledger: new Ledger({
      store: {
        add: async (entries) => {
          rows.push(...entries)
        },
        sum: ledgerSum,
      },
      onError: () => undefined,
      onDropped: () => undefined,
    }),
    limits: new LimitBook({
      settings: { session: {}, orchestrator: { daily }, tenant: {} },
      charter: { of: () => ({}) },
      findOverrides: async () => overrides,
      onError: () => undefined,
    }),
    costOf: (_model, { promptTokens }) => promptTokens / 100,
    thresholds: [50, 100],
    onCrossing: (_spender, crossing) => crossings.push(crossing),
    metrics: {
      utilization: () => undefined,
      refused: () => {
        counts.refused += 1
      },
      unsettled: () => {
        counts.unsettled += 1
      },
    },
    onError: () => undefined,
    writesThrough: true,
    waitMs,
  })
  let calls = 0
  const call = (promptTokens = 10, maxTokens = 100) => ({
    ...{ place: `1:${++calls}`, attempt: 'a', model: 'gpt-5', promptTokens, maxTokens },
  })
  const spend = async (tokens: number) => {
    const grant = await budgets.reserve(SPENDER, call(), NEVER)
    await grant.settle(used(tokens), ['bash'])
  }
  return { budgets, rows, crossings, overrides, counts, call, spend }
}

test('B-03: a spent budget refuses with the words of the reference, and says when it begins anew', async () => {
  const { budgets, call, spend, crossings, counts } = fixture()
  await spend(600)
  await spend(450)

  const refusal = await budgets.reserve(SPENDER, call(), NEVER).catch((error: unknown) => error)

  const tomorrow = new Date(Math.floor(Date.now() / 86_400_000 + 1) * 86_400_000).toISOString()
  expect(refusal).toMatchObject({ code: 'budget_exceeded', details: { resetsAt: tomorrow } })
  expect(String(refusal)).toContain(
    'Token budget exceeded for period: 1050 of 1000 tokens of the daily budget of orchestrator orch',
  )
  expect(crossings.map(({ threshold }) => threshold)).toEqual([50, 100])
  expect(counts.refused).toBe(1)
})

test('an override that was set a moment ago lets the next call through', async () => {
  const { budgets, call, spend, overrides } = fixture()
  await spend(1_000)
  await expect(budgets.check(SPENDER, NEVER)).rejects.toMatchObject({ code: 'budget_exceeded' })

  overrides.push({ scope: 'orchestrator', scopeId: 'orch', period: 'daily', tokens: 2_000, leftMs: 60_000 })

  expect((await budgets.reserve(SPENDER, call(), NEVER)).maxTokens).toBe(100)
  await expect(budgets.check(SPENDER, NEVER)).resolves.toBeUndefined()
})

test('near the end of a budget answers become shorter, but not too short to be of use', async () => {
  const { budgets, call, spend } = fixture()
  await spend(300)
  expect((await budgets.reserve(SPENDER, call(100, 9_000), NEVER)).maxTokens).toBe(600)

  const other = fixture()
  await other.spend(990)
  expect((await other.budgets.reserve(SPENDER, call(100, 9_000), NEVER)).maxTokens).toBe(256)
})

test('a call waits for those that hold the rest, and goes on with what they give back', async () => {
  const { budgets, call } = fixture({ waitMs: 10_000 })
  const first = await budgets.reserve(SPENDER, call(10, 5_000), NEVER)
  const second = budgets.reserve(SPENDER, call(10, 50), NEVER)

  await first.settle(used(100), [])

  expect((await second).maxTokens).toBe(50)
})

test('a call that waits in vain is told that others hold the rest; one that is cancelled does not wait', async () => {
  const { budgets, call } = fixture({ waitMs: 50 })
  await budgets.reserve(SPENDER, call(10, 5_000), NEVER)
  const cancel = new AbortController()
  const cancelled = budgets.reserve(SPENDER, call(), cancel.signal)
  cancel.abort(new Error('cancelled'))

  await expect(cancelled).rejects.toThrow('cancelled')
  await expect(budgets.reserve(SPENDER, call(), NEVER)).rejects.toThrow(/calls under way hold the rest/)
})

test('64 parallel calls never use more than the budget, but for what the last of them was corrected by', async () => {
  const { budgets, call, rows } = fixture({ daily: 10_000, waitMs: 10_000 })
  const one = async () => {
    const grant = await budgets.reserve(SPENDER, call(500, 500), NEVER)
    await grant.settle(used(900), [])
  }

  const ends = await Promise.allSettled(Array.from({ length: 64 }, one))

  const sum = rows.reduce((total, row) => total + row.promptTokens, 0)
  expect(sum).toBeGreaterThanOrEqual(10_000)
  expect(sum).toBeLessThan(10_000 + 1_000)
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(rows.length)
})

test('what is settled is in the ledger, once, with its cost and the tools that it was for', async () => {
  const { budgets, call, rows } = fixture()
  const grant = await budgets.reserve(SPENDER, { ...call(), place: '4:2', attempt: 'x' }, NEVER)
  await grant.settle({ promptTokens: 70, completionTokens: 30, cachedTokens: 20 }, ['bash'])

  expect(rows).toMatchObject([
    { stepId: 's1:4:2:x', tenant: 'acme', orchestratorId: 'orch', sessionId: 's1', model: 'gpt-5', tools: ['bash'] },
  ])
  expect(rows[0]).toMatchObject({ promptTokens: 70, cachedTokens: 20, completionTokens: 30, cost: 0.7 })
})

test('a count that is new to the meter begins at what the ledger says', async () => {
  const { budgets } = fixture({ ledgerSum: async () => 1_000 })
  await expect(budgets.check(SPENDER, NEVER)).rejects.toMatchObject({ code: 'budget_exceeded' })
})

test('a ledger that cannot be asked stops nobody', async () => {
  const { budgets, call } = fixture({
    ledgerSum: async () => {
      throw new Error('away')
    },
  })
  expect((await budgets.reserve(SPENDER, call(), NEVER)).maxTokens).toBe(100)
})

test('a meter that is out of reach for a moment is asked again, with the same step id', async () => {
  const meter = new MemoryMeter()
  const failing = new Set(['reserve', 'settle'])
  const attempts: string[] = []
  const flaky: Meter = {
    reserve: async (reservation) => {
      attempts.push(`reserve ${reservation.place}`)
      const reply = await meter.reserve(reservation)
      if (reply.status === 'granted' && failing.delete('reserve')) throw new Error('the reply was lost')
      return reply
    },
    settle: async (settlement) => {
      attempts.push(`settle ${settlement.place}`)
      const reply = await meter.settle(settlement)
      if (failing.delete('settle')) throw new Error('the reply was lost')
      return reply
    },
  }
  const { spend, budgets, call } = fixture({ meter: flaky })
  await spend(400)

  expect(attempts.filter((it) => it === 'settle s1:1:1')).toHaveLength(2)
  const left = await budgets.reserve(SPENDER, call(0, 9_000), NEVER)
  expect(left.maxTokens).toBe(600)
})
