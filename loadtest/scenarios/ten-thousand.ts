/**
 * 10,000 commands a second, whatever the service does: by k6, which judges throughput and the books, and by the lean
 * generator, which judges latency.
 */
import type { LoadCluster } from '../cluster/cluster.js'
import { findK6, type K6Result, k6Version, runK6 } from '../k6/run-k6.js'
import { type LoadFigures, measureCluster, waitForProjection } from '../measure/load-figures.js'
import { costPerRoundTrip, cpuTimes } from '../measure/processes.js'
import { median } from '../measure/tables.js'
import { outcome, planFor, ready } from './peak.js'
import type { Outcome, Stage, Table } from './scenario.js'

const DEFAULTS = { connections: 200, seconds: 60, rate: 10_000 }
/** Of every session: spawned, and its first task. */
const EVENTS_OF_SPAWN = 3
const EVENTS_OF_TASK = 2
/** Virtual users × sockets × sessions of `10k.js`. */
const K6_SESSIONS = 200

interface K6Figures extends K6Result {
  /** CPU µs per command, by process; the spawns are in it. */
  readonly costUs: Readonly<Record<string, number>>
}

export async function tenThousand(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage)
  const k6 = findK6()
  const plan = { ...planFor(cluster, connections, seconds), rate }
  const events = { known: 0 }
  const lean: LoadFigures[] = []
  const heavy: K6Figures[] = []
  for (let run = 0; run < stage.options.repeat; run++) {
    lean.push(await byGenerator(stage, cluster, plan, events))
    if (k6 !== undefined) heavy.push(await byK6(stage, cluster, k6, { rate, seconds }, events))
  }
  const base = outcome(
    `Open loop, ${rate} commands/s for ${seconds} s over ${connections} sessions`,
    stage,
    cluster,
    lean,
  )
  return {
    ...base,
    versions: { ...base.versions, ...(k6 !== undefined && { k6: k6Version(k6) }) },
    tables: heavy.length === 0 ? base.tables : [...base.tables, k6Table(heavy, rate, seconds)],
    notes: [k6 === undefined ? NO_K6 : 'First table: the generator. Second table: k6, latency sampled.'],
    figures: { generator: lean, k6: heavy },
    faults: [...base.faults, ...heavy.flatMap(({ faults }) => faults)],
  }
}

const NO_K6 =
  'k6 was not found (K6, PATH, GOPATH/bin), so the generator alone was used; `go install go.k6.io/k6@v1.8.1` brings it.'

async function byGenerator(
  stage: Stage,
  cluster: LoadCluster,
  plan: Parameters<typeof measureCluster>[1],
  events: { known: number },
): Promise<LoadFigures> {
  const figures = await measureCluster(cluster, plan, events.known)
  events.known += figures.report.events
  const { roundTripsPerSecond, latency } = figures.report
  stage.say(`generator: ${roundTripsPerSecond} round trips/s, p50 ${latency.p50} ms, p99 ${latency.p99} ms`)
  return figures
}

async function byK6(
  stage: Stage,
  cluster: LoadCluster,
  k6: string,
  load: { readonly rate: number; readonly seconds: number },
  events: { known: number },
): Promise<K6Figures> {
  const urls = cluster.edges.map(({ url }) => url)
  const before = cpuTimes(cluster.members)
  const result = await runK6(stage.teardown, k6, '10k.js', { urls, tokens: cluster.tokens }, load)
  const { sent, answered, latency } = result.summary
  const costUs = {
    ...costPerRoundTrip(before, cpuTimes(cluster.members), answered),
    k6: Number((result.cpuUs / Math.max(1, answered)).toFixed(1)),
  }
  events.known += K6_SESSIONS * EVENTS_OF_SPAWN + sent * EVENTS_OF_TASK
  await waitForProjection(cluster.stores, events.known)
  stage.say(`k6: ${answered} of ${sent} answered, p50 ${latency.p50} ms, p99 ${latency.p99} ms`)
  return { ...result, costUs }
}

function k6Table(runs: readonly K6Figures[], rate: number, seconds: number): Table {
  const of = (value: (run: K6Figures) => number): number => median(runs.map(value))
  const costs = Object.keys(runs[0]?.costUs ?? {}).map(
    (name) => `${name} ${of((run) => run.costUs[name] ?? 0).toFixed(1)}`,
  )
  const sent = runs.reduce((sum, { summary }) => sum + summary.sent, 0)
  const answered = runs.reduce((sum, { summary }) => sum + summary.answered, 0)
  const faults = [...new Set(runs.flatMap((run) => run.faults))]
  const latencies = [
    of((run) => run.summary.latency.p50),
    of((run) => run.summary.latency.p99),
    of((run) => run.summary.latency.max),
  ]
  return {
    head: ['k6', runs.length === 1 ? 'figure' : `median of ${runs.length}`],
    rows: [
      ['commands/s offered', rate.toLocaleString('en-US')],
      ['answered/s', Math.round(of(({ summary }) => summary.answered / seconds)).toLocaleString('en-US')],
      ['latency p50 · p99 · max', `${latencies.map((value) => value.toFixed(1)).join(' · ')} ms`],
      [
        'sent = answered',
        `${sent} = ${answered}${faults.length === 0 ? ', in order, none twice' : `; ${faults.join('; ')}`}`,
      ],
      ['CPU µs per round trip', costs.join(' · ')],
    ],
  }
}
