import { expect, test } from 'vitest'
import type { BudgetedCall, Budgets, Spent } from '../../../src/budget/budgets.js'
import { ServiceError } from '../../../src/protocol/errors.js'
import type { Journal } from '../../../src/runtimes/runtime.js'
import { TurnBudget } from '../../../src/worker/turn-budget.js'

const SPENDER = { tenant: 'acme', orchestratorId: 'orch', sessionId: 'session_000_x' }
const USAGE = { promptTokens: 70, completionTokens: 30 }
const CALL = { callId: 'c1', name: 'Bash', input: {} }

function fixture({ spent = false } = {}) {
  const reserved: BudgetedCall[] = []
  const recorded: (Spent & { readonly place: string; readonly attempt: string })[] = []
  const entries: string[] = []
  let steps = 2
  const budgets: Budgets = {
    reserve: async (_spender, call) => {
      reserved.push(call)
      return { maxTokens: call.maxTokens, settle: async () => undefined }
    },
    record: async (_spender, call, what) => {
      recorded.push({ ...call, ...what })
      if (spent) throw new ServiceError('budget_exceeded')
    },
    check: async () => undefined,
  }
  const journal: Journal = {
    messageStarted: async () => 'msg',
    text: () => undefined,
    messageEnded: async () => {
      entries.push('messageEnded')
      steps += 1
    },
    toolStarted: async () => undefined,
    toolEnded: async () => undefined,
  }
  const open = () =>
    new TurnBudget({ budgets, spender: SPENDER, turn: 5, steps: () => steps, signal: new AbortController().signal })
  return { open, journal, reserved, recorded, entries }
}

const ended = (toolCalls: readonly (typeof CALL)[]) =>
  ({ toolCalls, finishReason: 'stop', usage: USAGE, cost: 0 }) as const

test('messages of an agent that reserves nothing are counted as they are recorded', async () => {
  const { open, journal, recorded, entries } = fixture()
  const counted = open().counted(journal)

  await counted.messageStarted('claude-sonnet-5')
  await counted.messageEnded(ended([CALL]))
  await counted.messageEnded(ended([]))

  expect(recorded.map(({ place }) => place)).toEqual(['5:2', '5:3'])
  expect(recorded[0]).toMatchObject({ model: 'claude-sonnet-5', usage: USAGE, tools: ['Bash'] })
  expect(entries).toHaveLength(2)
})

test('an agent that has spent its budget is stopped where it asks for more, and a last answer stands', async () => {
  const { open, journal, entries } = fixture({ spent: true })
  const counted = open().counted(journal)

  await counted.messageEnded(ended([]))
  await expect(counted.messageEnded(ended([CALL]))).rejects.toMatchObject({ code: 'budget_exceeded' })

  expect(entries).toHaveLength(2)
})

test('a runtime that reserves its calls is not counted twice', async () => {
  const { open, journal, recorded, reserved } = fixture()
  const budget = open()

  await budget.reserve({ model: 'm', promptTokens: 1, maxTokens: 2 })
  await budget.counted(journal).messageEnded(ended([CALL]))

  expect(reserved).toHaveLength(1)
  expect(recorded).toEqual([])
})

test('each call has a name of its own, also in the same step and in another run of the turn', async () => {
  const { open, reserved } = fixture()
  const [first, second] = [open(), open()]

  for (const budget of [first, first, second]) await budget.reserve({ model: 'm', promptTokens: 1, maxTokens: 2 })

  expect(new Set(reserved.map(({ place }) => place))).toEqual(new Set(['5:2']))
  expect(new Set(reserved.map(({ attempt }) => attempt)).size).toBe(3)
})
