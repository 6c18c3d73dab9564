import { expect, test } from 'vitest'
import type { BudgetedCall, Budgets, Spender } from '../../../src/budget/budgets.js'
import { TurnBudget } from '../../../src/worker/turn-budget.js'

const SPENDER = { tenant: 'acme', orchestratorId: 'orch', sessionId: 'session_000_x' }
const PLAN = { model: 'm', promptTokens: 1, maxTokens: 2 }

function fixture() {
  const reserved: BudgetedCall[] = []
  const spenders = new Set<Spender>()
  const state = { steps: 2 }
  const budgets: Budgets = {
    reserve: async (spender, call) => {
      spenders.add(spender)
      reserved.push(call)
      return { maxTokens: call.maxTokens, settle: async () => undefined }
    },
    check: async (spender) => {
      spenders.add(spender)
    },
  }
  const { signal } = new AbortController()
  const open = () => new TurnBudget({ budgets, spender: SPENDER, turn: 5, steps: () => state.steps, signal })
  return { open, reserved, spenders, state }
}

test('a call is named by its turn and step, and takes the place of the one before in the same step', async () => {
  const { open, reserved, state, spenders } = fixture()
  const budget = open()

  await budget.check()
  await budget.reserve(PLAN)
  await budget.reserve(PLAN)
  state.steps = 3
  await budget.reserve(PLAN)

  expect(reserved.map(({ place }) => place)).toEqual(['5:2', '5:2', '5:3'])
  expect([...spenders]).toEqual([SPENDER])
})

test('calls that are made side by side have places of their own', async () => {
  const { open, reserved } = fixture()
  const budget = open()

  await Promise.all([budget.reserve({ ...PLAN, lane: 'a' }), budget.reserve({ ...PLAN, lane: 'b' })])

  expect(reserved.map(({ place }) => place)).toEqual(['5:2:a', '5:2:b'])
})

test('each attempt has a name of its own, also in another run of the turn', async () => {
  const { open, reserved } = fixture()
  const [first, second] = [open(), open()]

  for (const budget of [first, first, second]) await budget.reserve(PLAN)

  expect(new Set(reserved.map(({ attempt }) => attempt)).size).toBe(3)
})
