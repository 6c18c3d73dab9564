/**
 * Figures of load runs as tables.
 */

import type { Table } from '../scenarios/scenario.js'
import type { LoadFigures } from './load-figures.js'

const NO_VALUE = '–'
const PERCENTILES = ['p50', 'p90', 'p99', 'max'] as const

/** The value in the middle; of an even number of values the lower one. 0 for none. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0

const grouped = (value: number): string => Math.round(value).toLocaleString('en-US')
const ms = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`

/** Medians over runs of the same load; the worst of what must be the same in all. */
export function loadTable(runs: readonly LoadFigures[]): Table {
  const of = (value: (run: LoadFigures) => number): number => median(runs.map(value))
  const { report } = runs[0] ?? {}
  const latencies = PERCENTILES.map((name) => ms(of((run) => run.report.latency[name])))
  const offered = report?.offeredPerSecond
  return {
    head: ['measure', runs.length === 1 ? 'figure' : `median of ${runs.length}`],
    rows: [
      ...(offered === undefined ? [] : [['commands/s offered', grouped(offered)]]),
      ['round trips/s', grouped(of((run) => run.report.roundTripsPerSecond))],
      [`latency ${PERCENTILES.join(' · ')}`, latencies.join(' · ')],
      ['sent = answered', accounting(runs)],
      ...perProcess('CPU µs per round trip', runs, (run) => run.cpuUs, 1),
      ...perProcess('RSS in MB', runs, (run) => run.residentMb, 0),
      ['left after the run', backlog(runs)],
    ],
  }
}

function accounting(runs: readonly LoadFigures[]): string {
  const sum = (value: (run: LoadFigures) => number): number => runs.reduce((total, run) => total + value(run), 0)
  const faults = runs.flatMap((run) => run.faults)
  const done = `${grouped(sum((run) => run.report.counts.sent))} = ${grouped(sum((run) => run.report.counts.completed))}`
  return faults.length === 0 ? `${done}, in order, none twice` : `${done}; ${[...new Set(faults)].join('; ')}`
}

/** One row with the value of every process and their sum. */
function perProcess(
  title: string,
  runs: readonly LoadFigures[],
  values: (run: LoadFigures) => Readonly<Record<string, number>>,
  digits: number,
): string[][] {
  const names = [...new Set(runs.flatMap((run) => Object.keys(values(run))))]
  const medians = names.map((name) => [name, median(runs.map((run) => values(run)[name] ?? 0))] as const)
  const sum = medians.reduce((total, [, value]) => total + value, 0)
  const each = medians.map(([name, value]) => `${name} ${value.toFixed(digits)}`)
  return [[title, `${each.join(' · ')} · together ${sum.toFixed(digits)}`]]
}

function backlog(runs: readonly LoadFigures[]): string {
  const known = runs.flatMap((run) => (run.backlog === undefined ? [] : [run.backlog]))
  if (known.length === 0) return NO_VALUE
  const commands = Math.max(...known.map((each) => each.commands))
  const events = median(known.map((each) => each.events))
  const drained = known.map((each) => each.drainedAfterMs ?? Number.POSITIVE_INFINITY)
  const redisMb = median(known.map((each) => each.redisMb))
  const late = `${grouped(events)} events not in Postgres, which had them after ${ms(median(drained))}`
  return `${commands} commands; ${redisMb} MB in Redis; ${late}`
}

/** Of the values, the smallest that `share` of them do not exceed. 0 for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}
