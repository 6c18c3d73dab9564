/**
 * One run of k6 on the cluster: its own books and what the processes spent.
 */
import type { LoadCluster } from '../cluster/cluster.js'
import { type K6Result, type K6Script, runK6 } from '../k6/run-k6.js'
import { waitForProjection } from '../measure/load-figures.js'
import { costPerRoundTrip, cpuTimes } from '../measure/processes.js'
import { median } from '../measure/tables.js'
import type { Stage, Table } from './scenario.js'

/** Of every session: spawned, and its first task. */
const EVENTS_OF_SPAWN = 3
const EVENTS_OF_TASK = 2
/** Virtual users × sockets × sessions, as the scripts have them. */
const SESSIONS: Readonly<Record<K6Script, number>> = { '10k.js': 200, 'smoke.js': 40 }

export const NO_K6 =
  'k6 was not found (K6, PATH, GOPATH/bin), so the generator alone was used; `go install go.k6.io/k6@v1.8.1` brings it.'

export interface K6Run {
  readonly script: K6Script
  readonly rate: number
  readonly seconds: number
  /** Events that are in the log before this run. */
  readonly eventsBefore: number
}

export interface K6Figures extends K6Result {
  /** CPU µs per command, by process; start and spawns are in it. */
  readonly costUs: Readonly<Record<string, number>>
  /** Events that are in the log after this run. */
  readonly events: number
}

export async function measureK6(stage: Stage, cluster: LoadCluster, k6: string, run: K6Run): Promise<K6Figures> {
  const urls = cluster.edges.map(({ url }) => url)
  const before = cpuTimes(cluster.members)
  const result = await runK6(stage.teardown, k6, run.script, { urls, tokens: cluster.tokens }, run)
  const { sent, answered, latency } = result.summary
  const costUs = {
    ...costPerRoundTrip(before, cpuTimes(cluster.members), answered),
    k6: Number((result.cpuUs / Math.max(1, answered)).toFixed(1)),
  }
  const events = run.eventsBefore + SESSIONS[run.script] * EVENTS_OF_SPAWN + sent * EVENTS_OF_TASK
  const { drainedAfterMs } = await waitForProjection(cluster.stores, events)
  const stuck = drainedAfterMs === undefined ? ['Postgres does not have all events of the k6 run'] : []
  stage.say(`k6: ${answered} of ${sent} answered, p50 ${latency.p50} ms, p99 ${latency.p99} ms`)
  return { ...result, costUs, events, faults: [...result.faults, ...stuck] }
}

/** Medians over runs of the same load. */
export function k6Table(runs: readonly K6Figures[], { rate, seconds }: Pick<K6Run, 'rate' | 'seconds'>): Table {
  const of = (value: (run: K6Figures) => number): number => median(runs.map(value))
  const latencies = (['p50', 'p99', 'max'] as const).map((name) =>
    of(({ summary }) => summary.latency[name]).toFixed(1),
  )
  const names = Object.keys(runs[0]?.costUs ?? {})
  return {
    head: ['k6', runs.length === 1 ? 'figure' : `median of ${runs.length}`],
    rows: [
      ['commands/s offered', rate.toLocaleString('en-US')],
      ['answered/s', Math.round(of(({ summary }) => summary.answered / seconds)).toLocaleString('en-US')],
      ['latency p50 · p99 · max, sampled', `${latencies.join(' · ')} ms`],
      ['sent = answered', accounting(runs)],
      [
        'CPU µs per round trip',
        names.map((name) => `${name} ${of((run) => run.costUs[name] ?? 0).toFixed(1)}`).join(' · '),
      ],
    ],
  }
}

function accounting(runs: readonly K6Figures[]): string {
  const sum = (name: 'sent' | 'answered'): string =>
    runs.reduce((total, { summary }) => total + summary[name], 0).toLocaleString('en-US')
  const faults = [...new Set(runs.flatMap((run) => run.faults))]
  const how = faults.length === 0 ? ', in order, none twice' : `; ${faults.join('; ')}`
  return `${sum('sent')} = ${sum('answered')}${how}`
}
