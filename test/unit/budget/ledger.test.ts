import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { Ledger, type LedgerStore } from '../../../src/budget/ledger.js'
import { windowOf } from '../../../src/budget/periods.js'
import type { LedgerRow } from '../../../src/storage/budget-ledger.js'

const entry = (stepId: string): LedgerRow => ({
  ...{ stepId, at: new Date(), tenant: 'acme', orchestratorId: 'o', sessionId: 's', model: 'm', tools: [] },
  ...{ promptTokens: 1, cachedTokens: 0, completionTokens: 1, cost: 0 },
})
const WINDOW = windowOf({ scope: 'tenant', id: 'acme', period: 'daily', tokens: 5 }, Date.now())

function fixture(store: Partial<LedgerStore> = {}) {
  const written: string[] = []
  const errors: unknown[] = []
  const dropped: number[] = []
  const ledger = new Ledger({
    store: {
      add: async (entries) => {
        written.push(...entries.map(({ stepId }) => stepId))
      },
      sum: async () => written.length,
      ...store,
    },
    onError: (error) => errors.push(error),
    onDropped: (count) => dropped.push(count),
    flushMs: 5,
  })
  return { ledger, written, errors, dropped }
}

test('calls are written soon, and what waits when it stops', async () => {
  const { ledger, written } = fixture()
  ledger.add(entry('a'))
  await vi.waitFor(() => expect(written).toEqual(['a']))
  ledger.add(entry('b'))
  await ledger.stop()
  expect(written).toEqual(['a', 'b'])
})

test('a sum counts what this process has settled a moment ago', async () => {
  const { ledger } = fixture()
  ledger.add(entry('a'))
  expect(await ledger.sums('acme', [WINDOW])).toEqual(new Map([[WINDOW.name, 1]]))
  await ledger.stop()
})

test('what a database that is away did not take is written when it is back, once', async () => {
  let isAway = true
  const taken: string[] = []
  const { ledger, errors } = fixture({
    add: async (entries) => {
      if (isAway) throw new Error('away')
      taken.push(...entries.map(({ stepId }) => stepId))
    },
  })
  ledger.add(entry('a'))
  await vi.waitFor(() => expect(errors).toHaveLength(1))
  isAway = false
  ledger.add(entry('b'))
  await ledger.flush()
  expect(taken).toEqual(['a', 'b'])
  await ledger.stop()
})

test('a database that does not say is not asked again for a while', async () => {
  let asked = 0
  const { ledger, errors } = fixture({
    sum: async () => {
      asked += 1
      throw new Error('away')
    },
  })
  const unknown = new Map([[WINDOW.name, undefined]])
  expect(await ledger.sums('acme', [WINDOW])).toEqual(unknown)
  expect(await ledger.sums('acme', [WINDOW])).toEqual(unknown)
  expect(asked).toBe(1)
  expect(errors).toHaveLength(1)
})

test('with more than 50,000 waiting the oldest go, and that is said', async () => {
  const { ledger, dropped } = fixture({ add: () => sleep(10_000) })
  for (let i = 0; i < 50_003; i++) ledger.add(entry(String(i)))
  expect(dropped).toEqual([1, 1, 1])
})
