/**
 * A usage report as bars over time: one stack for each hour or day, the largest groups by name and the rest together.
 */
import type { UsageReport } from '../../src/protocol/budgets.js'

export type Dimension = 'model' | 'orchestrator' | 'session' | 'tool'
export type Measure = 'tokens' | 'cost'
export type Granularity = 'hourly' | 'daily'

export interface Series {
  readonly name: string
  readonly total: number
  /** One for each bar. */
  readonly values: readonly number[]
}

export interface Stacks {
  /** Begin of each bar, ms since 1970. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
}

/** More cannot be told apart. */
const MAX_SERIES = 5
export const OTHERS = 'all others'
const STEP_MS: Readonly<Record<Granularity, number>> = { hourly: 3_600_000, daily: 86_400_000 }

export function stacksOf(report: UsageReport, by: Dimension, measure: Measure, granularity: Granularity): Stacks {
  const times = timesOf(report, STEP_MS[granularity])
  const places = new Map(times.map((time, index) => [time, index]))
  const groups = new Map<string, number[]>()
  for (const row of report.breakdown) {
    const place = places.get(Date.parse(row.from))
    if (place === undefined) continue
    const name = row[by] || (by === 'tool' ? 'no tool' : 'unknown')
    const values = groups.get(name) ?? times.map(() => 0)
    groups.set(name, values)
    values[place] = (values[place] ?? 0) + row[measure]
  }
  const all = [...groups].map(([name, values]) => ({ name, values, total: sum(values) }))
  all.sort((a, b) => b.total - a.total)
  return { times, series: [...all.slice(0, MAX_SERIES), ...rest(all.slice(MAX_SERIES))] }
}

/** Also those in which nothing was used: a gap is not drawn as if it were none. */
function timesOf({ period }: UsageReport, step: number): number[] {
  const [start, end] = [Date.parse(period.start), Date.parse(period.end)]
  const times: number[] = []
  for (let at = Math.floor(start / step) * step; at < end; at += step) times.push(at)
  return times
}

function rest(series: readonly Series[]): Series[] {
  const [first] = series
  if (!first) return []
  const values = first.values.map((_, index) => sum(series.map((each) => each.values[index] ?? 0)))
  return [{ name: OTHERS, values, total: sum(values) }]
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Lines to read a height by: round figures, three or four of them, up to the highest bar. */
export function ticks(highest: number): readonly number[] {
  if (highest <= 0) return [0, 1]
  const rough = highest / 3
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough
  const count = Math.ceil(highest / step)
  return Array.from({ length: count + 1 }, (_, index) => index * step)
}
