/**
 * One run of a k6 script on the cluster: its own books, what the processes spent, and how both went over time.
 */
import { type LoadCluster, urlsOf } from '../cluster/cluster.js'
import { type K6Load, type K6Result, type K6Script, runK6 } from '../k6/run-k6.js'
import type { K6Runner } from '../k6/runner.js'
import { waitForProjection } from '../measure/load-figures.js'
import type { Plot } from '../measure/plot.js'
import { costPerRoundTrip, cpuTimes } from '../measure/processes.js'
import { type Sample, Sampler } from '../measure/sampler.js'
import { median } from '../measure/tables.js'
import type { Stage, Table } from './scenario.js'

/** Of every session: spawned, and its first task. */
const EVENTS_OF_SPAWN = 3
const EVENTS_OF_TASK = 2
const SHORT_SAMPLE_MS = 1_000
const LONG_SAMPLE_MS = 5_000
/** Runs up to this length are sampled every second. */
const SHORT_SECONDS = 120

export interface K6Run extends K6Load {
  readonly script: K6Script
  /** That it spawns, for a script whose sessions echo; undefined where the number of events is not known beforehand. */
  readonly sessions?: number
  /** Events that are in the log before this run. */
  readonly eventsBefore: number
}

export interface K6Figures extends K6Result {
  /** CPU µs per answer, by process; start and spawns are in it. */
  readonly costUs: Readonly<Record<string, number>>
  readonly samples: readonly Sample[]
  /** Events that are in the log after this run. */
  readonly events: number
}

export async function measureK6(stage: Stage, cluster: LoadCluster, runner: K6Runner, run: K6Run): Promise<K6Figures> {
  const urls = urlsOf(cluster)
  const before = cpuTimes(cluster.members)
  const sampler = new Sampler(cluster.members, run.seconds > SHORT_SECONDS ? LONG_SAMPLE_MS : SHORT_SAMPLE_MS)
  stage.teardown.add('the sampler', () => void sampler.stop())
  const result = await runK6(stage.teardown, runner, run.script, { urls, tokens: cluster.tokens }, run)
  const samples = sampler.stop()
  const { sent = 0, answered = 0 } = result.summary.counts
  const costUs = {
    ...costPerRoundTrip(before, cpuTimes(cluster.members), answered),
    [runner.name]: Number((result.cpuUs / Math.max(1, answered)).toFixed(1)),
  }
  const { p50, p99 } = result.summary.latency
  stage.say(`${runner.name}: ${answered} of ${sent} answered, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
  const { events, faults } = await settled(cluster, run, sent, urls.length)
  return { ...result, costUs, samples, events, faults: [...result.faults, ...faults] }
}

/** Waits until Postgres has what the run made. Its question whether the cluster is ready spawned sessions too. */
async function settled(cluster: LoadCluster, { sessions, eventsBefore }: K6Run, sent: number, asked: number) {
  if (sessions === undefined) return { events: await cluster.stores.countedEvents(), faults: [] }
  const events = eventsBefore + (sessions + asked) * EVENTS_OF_SPAWN + sent * EVENTS_OF_TASK
  const { drainedAfterMs } = await waitForProjection(cluster.stores, events)
  const faults = drainedAfterMs === undefined ? ['Postgres does not have all events of the k6 run'] : []
  return { events, faults }
}

/** Medians over runs of the same load. */
export function k6Table(runs: readonly K6Figures[], { rate, seconds }: K6Load, name: string): Table {
  const of = (value: (run: K6Figures) => number): number => median(runs.map(value))
  const perSecond = of(({ summary }) => (summary.counts.answered ?? 0) / seconds)
  return {
    head: [name, runs.length === 1 ? 'figure' : `median of ${runs.length}`],
    rows: [
      ['commands/s offered', rate.toLocaleString('en-US')],
      ['answered/s', Math.round(perSecond).toLocaleString('en-US')],
      ['latency p50 · p99 · max, sampled', latencies(runs)],
      ['sent = answered', accounting(runs)],
      ['CPU µs per round trip', costs(runs)],
    ],
  }
}

export function latencies(runs: readonly K6Figures[]): string {
  const of = (name: 'p50' | 'p99' | 'max'): string =>
    median(runs.map(({ summary }) => summary.latency[name])).toFixed(1)
  return `${of('p50')} · ${of('p99')} · ${of('max')} ms`
}

export function costs(runs: readonly K6Figures[]): string {
  const names = Object.keys(runs[0]?.costUs ?? {})
  return names.map((name) => `${name} ${median(runs.map((run) => run.costUs[name] ?? 0)).toFixed(1)}`).join(' · ')
}

export function accounting(runs: readonly K6Figures[]): string {
  const sum = (name: 'sent' | 'answered'): string =>
    runs.reduce((total, { summary }) => total + (summary.counts[name] ?? 0), 0).toLocaleString('en-US')
  const faults = [...new Set(runs.flatMap((run) => run.faults))]
  const how = faults.length === 0 ? ', in order, none twice' : `; ${faults.join('; ')}`
  return `${sum('sent')} = ${sum('answered')}${how}`
}

/** What was counted, how late it was, and what the processes used, over time. */
export function k6Plots({ timeline, samples }: K6Figures, counted: readonly string[], latency: string): Plot[] {
  const over = 'seconds'
  const counts = counted.map((name) => ({
    name,
    points: timeline.map(({ second, counts }) => [second, counts[name] ?? 0] as const),
  }))
  const times = (['p50', 'p99'] as const).map((name) => ({
    name,
    points: timeline.flatMap((point) => (point[name] === undefined ? [] : [[point.second, point[name]] as const])),
  }))
  return [
    { name: 'rate', title: counted.join(', '), unit: 'per second', over, series: counts },
    { name: 'latency', title: latency, unit: 'ms', over, series: times },
    { name: 'cpu', title: 'Processor', unit: 'cores', over, series: sampled(samples, 'cores') },
    { name: 'memory', title: 'Resident memory', unit: 'MB', over, series: sampled(samples, 'residentMb') },
  ]
}

const sampled = (samples: readonly Sample[], what: 'cores' | 'residentMb') =>
  Object.keys(samples[0]?.[what] ?? {}).map((name) => ({
    name,
    points: samples.map((sample) => [sample.second, sample[what][name] ?? 0] as const),
  }))
