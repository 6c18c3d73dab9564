/**
 * What is said when a budget comes to a share of its limit.
 */
import type { BudgetAlert } from '../protocol/events.js'
import { type Crossing, EXCEEDED, type Thresholds } from './meter.js'

/** The shares that are always told, in percent. */
const FIXED: Thresholds = [50, 75, 90, EXCEEDED]
const PERCENT = 100

/** With the one of the settings, a fraction such as 0.8. */
export const thresholdsWith = (fraction: number): Thresholds =>
  [...new Set([...FIXED, Math.round(fraction * PERCENT)])].filter((percent) => percent > 0).sort((a, b) => a - b)

export function alertOf({ window, threshold }: Crossing): BudgetAlert {
  const { scope, id, period, start, end, used, tokens: limit } = window
  return {
    alert: threshold >= EXCEEDED ? 'budget:exceeded' : `threshold:${threshold}`,
    level: levelOf(threshold),
    ...{ scope, id, period, threshold, used, limit },
    since: new Date(start).toISOString(),
    resetsAt: end === 0 ? null : new Date(end).toISOString(),
  }
}

function levelOf(threshold: number): BudgetAlert['level'] {
  if (threshold >= EXCEEDED) return 'emergency'
  if (threshold >= 90) return 'critical'
  return threshold >= 75 ? 'warning' : 'info'
}
