/**
 * The windows of budgets: each begins at a full hour, day, week (Monday) or month in UTC. Pure.
 */

/** `session` is the whole life of a session: it never begins anew. */
const PERIODS = ['hourly', 'daily', 'weekly', 'monthly', 'session'] as const
export type Period = (typeof PERIODS)[number]

export const SCOPES = ['session', 'orchestrator', 'tenant'] as const
export type Scope = (typeof SCOPES)[number]

/** So many tokens in each window of a period, for one session, orchestrator or tenant. */
export interface Limit {
  readonly scope: Scope
  readonly id: string
  readonly period: Period
  readonly tokens: number
}

/** A limit in the window that is open at some time; `start` and `end` in ms since 1970, `end` 0 when it never ends. */
export interface Window extends Limit {
  /** The same for whoever counts in it. */
  readonly name: string
  readonly start: number
  readonly end: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The first of January 1970 was a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS
const WEEK_MS = 7 * DAY_MS

export function windowOf(limit: Limit, at: number): Window {
  const [start, end] = boundsOf(limit.period, at)
  const since = limit.period === 'session' ? 'ever' : new Date(start).toISOString().slice(0, 13)
  return { ...limit, name: `${limit.scope}:${limit.id}:${limit.period}:${since}`, start, end }
}

function boundsOf(period: Period, at: number): readonly [start: number, end: number] {
  switch (period) {
    case 'hourly':
      return steps(at, HOUR_MS, 0)
    case 'daily':
      return steps(at, DAY_MS, 0)
    case 'weekly':
      return steps(at, WEEK_MS, FIRST_MONDAY_MS)
    case 'monthly': {
      const date = new Date(at)
      const month = (more: number) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + more)
      return [month(0), month(1)]
    }
    case 'session':
      return [0, 0]
  }
}

function steps(at: number, length: number, first: number): readonly [number, number] {
  const start = first + Math.floor((at - first) / length) * length
  return [start, start + length]
}
