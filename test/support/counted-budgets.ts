/**
 * Budgets of one limit over all calls, counted as in one process, whose ledger the test can read.
 */
import { Ledger } from '../../src/budget/ledger.js'
import { LimitBook } from '../../src/budget/limits.js'
import { MemoryMeter } from '../../src/budget/memory-meter.js'
import { TokenBudgets } from '../../src/budget/token-budgets.js'
import type { LedgerRow } from '../../src/storage/budget-ledger.js'

export interface CountedBudgets {
  readonly budgets: TokenBudgets
  /** Calls that were settled. */
  readonly rows: readonly LedgerRow[]
}

/** `daily` tokens for each orchestrator. */
export function countedBudgets(daily: number): CountedBudgets {
  const rows: LedgerRow[] = []
  const ignore = () => undefined
  const store = {
    add: async (entries: readonly LedgerRow[]) => {
      rows.push(...entries)
    },
    sum: async () => 0,
  }
  const budgets = new TokenBudgets({
    meter: new MemoryMeter(),
    ledger: new Ledger({ store, onError: ignore, onDropped: ignore }),
    limits: new LimitBook({
      settings: { session: {}, orchestrator: { daily }, tenant: {} },
      charter: { of: () => ({}) },
      findOverrides: async () => [],
      onError: ignore,
    }),
    costOf: () => 0,
    thresholds: [],
    onCrossing: ignore,
    metrics: { utilization: ignore, refused: ignore, unsettled: ignore },
    onError: ignore,
    writesThrough: true,
    waitMs: 100,
  })
  return { budgets, rows }
}
