/**
 * What a user reads when a budget is spent.
 */
import { ServiceError } from '../protocol/errors.js'
import type { WindowState } from './meter.js'
import type { Period } from './periods.js'

const WORDS: Readonly<Record<Period, string>> = {
  hourly: 'hourly',
  daily: 'daily',
  weekly: 'weekly',
  monthly: 'monthly',
  session: 'whole',
}

/** `at` by the clock that the windows go by. */
export function exceeded(window: WindowState, status: 'spent' | 'held', at: number): ServiceError {
  const { scope, id, period, tokens: limit, used, end } = window
  const details = { used, limit, period: WORDS[period], scope: `${scope} ${id}` }
  if (status === 'held') {
    return new ServiceError('budget_exceeded', { ...details, relief: 'calls under way hold the rest; try again soon' })
  }
  if (end === 0) return new ServiceError('budget_exceeded', { ...details, relief: 'an administrator can allow more' })
  const resetsAt = new Date(end).toISOString()
  const relief = `it resets at ${resetsAt}, or an administrator allows more`
  return new ServiceError('budget_exceeded', { ...details, relief, resetsAt, retryAfterMs: Math.max(0, end - at) })
}
