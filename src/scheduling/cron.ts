/**
 * When a repeated task is to run. Times are the database's; the pattern is read in the time zone that it names, so that a
 * task of nine o'clock runs at nine in summer and in winter.
 */
import { Cron } from 'croner'
import { ServiceError } from '../protocol/errors.js'
import type { Repeat } from '../protocol/schedule.js'

/** Runs that a new pattern is judged by: enough to see every gap of a week. */
const JUDGED_RUNS = 64
/** Missed occurrences that are counted one by one; beyond it there were "at least so many". */
const MAX_COUNTED = 1_000

export interface Pattern {
  readonly cron: string
  readonly timezone: string
}

export interface Missed {
  /** The latest occurrence that is due. */
  readonly at: Date
  /** Those before it that are due too. */
  readonly missed: number
}

/** The first run after `now`. @throws ServiceError `schedule_invalid` for what is no pattern, or runs never or too often. */
export function firstRun(repeat: Repeat, now: Date, minIntervalMs: number): Date {
  const runs = parse(repeat).nextRuns(JUDGED_RUNS, now)
  const [first] = runs
  if (!first) throw invalid('the pattern has no run in the future')
  const gaps = runs.slice(1).map((run, index) => run.getTime() - (runs[index] ?? run).getTime())
  if (gaps.some((gap) => gap < minIntervalMs)) {
    throw invalid(`its runs are less than ${minIntervalMs} ms apart, which SCHEDULE_MIN_INTERVAL asks for`)
  }
  return first
}

/** The run after `last`; undefined when there is none any more. */
export function nextRun(pattern: Pattern, last: Date): Date | undefined {
  return parse(pattern).nextRun(last) ?? undefined
}

/** Which of the occurrences since `dueAt` is to run at `now`: the latest, in place of all before it. */
export function catchUp(pattern: Pattern, dueAt: Date, now: Date): Missed {
  const cron = parse(pattern)
  let at = dueAt
  let missed = 0
  for (let next = cron.nextRun(at); next && next <= now && missed < MAX_COUNTED; next = cron.nextRun(at)) {
    at = next
    missed += 1
  }
  const [latest = at] = missed < MAX_COUNTED ? [] : cron.previousRuns(1, now)
  return { at: latest > at ? latest : at, missed }
}

function parse({ cron, timezone }: Pattern): Cron {
  try {
    const parsed = new Cron(cron, { timezone, paused: true, mode: '5-or-6-parts' })
    // A time zone that does not exist is noticed only when it is used.
    parsed.nextRun()
    return parsed
  } catch (cause) {
    throw invalid(
      `${cause instanceof Error ? cause.message : String(cause)} (cron "${cron}", time zone "${timezone}")`,
      cause,
    )
  }
}

const invalid = (reason: string, cause?: unknown): ServiceError =>
  new ServiceError('schedule_invalid', { reason }, cause === undefined ? {} : { cause })
