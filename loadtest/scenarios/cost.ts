/**
 * What a message costs as the cluster grows: clusters of 2, 4 and 8 workers, one after the other, get the same load, and
 * the CPU time of all their processes is summed. What they spend without any load is measured before, and told apart.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Teardown } from '../../src/chaos/teardown.js'
import { type LoadCluster, startCluster } from '../cluster/cluster.js'
import type { Plan } from '../generator/plan.js'
import { type LoadFigures, measureCluster } from '../measure/load-figures.js'
import { cpuTimes } from '../measure/processes.js'
import { median } from '../measure/tables.js'
import { planFor } from './peak.js'
import { type Outcome, type Stage, sizeOf, type Table } from './scenario.js'

const WORKERS = [2, 4, 8] as const
const LOAD = { connections: 200, seconds: 20, rate: 1_000 }
/** A command and the event that answers it. */
const MESSAGES_PER_ROUND_TRIP = 2
/** The compiler of each worker must have seen the hot path often enough, also of one that gets an eighth of the load. */
const WARMUP_SECONDS = 40
/** Processes that have just started are still at work. */
const SETTLE_MS = 5_000
const REST_MS = 10_000
const US_PER_MS = 1_000
const MS_PER_SECOND = 1_000
/** Flat means within this share of the smallest cluster's cost. */
const FLAT = 0.1

interface Measured {
  readonly workers: number
  /** CPU in µs per second without load, by process. */
  readonly restUs: Readonly<Record<string, number>>
  readonly runs: readonly LoadFigures[]
  readonly versions: Readonly<Record<string, string>>
}

export async function cost(stage: Stage): Promise<Outcome> {
  const { connections = LOAD.connections, seconds = LOAD.seconds, rate = LOAD.rate } = stage.options
  const { edges } = sizeOf(stage.options)
  const measured: Measured[] = []
  for (const workers of WORKERS) measured.push(await measure(stage, workers, { connections, seconds, rate }))
  const [first] = measured
  return {
    summary: `${rate} commands/s of ${connections} sessions for ${seconds} s on clusters of ${WORKERS.join(', ')} workers, ${edges} edge.`,
    versions: first?.versions ?? {},
    tables: [costTable(measured)],
    notes: [
      'CPU µs per message, two for each round trip; the load generator is not counted. At rest: CPU ms per second of all processes before the load; the messages share it.',
      verdict(measured.map((each) => ({ workers: each.workers, us: together(each) }))),
    ],
    figures: measured,
    faults: measured.flatMap(({ runs }) => runs.flatMap(({ faults }) => faults)),
  }
}

/** Each cluster runs alone. */
async function measure(stage: Stage, workers: number, load: typeof LOAD): Promise<Measured> {
  const teardown = new Teardown()
  stage.teardown.add(`${workers} workers`, (hurry) => teardown.run(hurry))
  try {
    const cluster = await startCluster(teardown, { ...sizeOf(stage.options), workers })
    const restUs = await costOfRest(cluster)
    const { connections, seconds, rate } = load
    const plan: Plan = { ...planFor(cluster, connections, seconds), rate, warmupSeconds: WARMUP_SECONDS }
    const runs: LoadFigures[] = []
    let events = 0
    for (let run = 0; run < stage.options.repeat; run++) {
      const figures = await measureCluster(cluster, plan, events)
      events += figures.report.events
      runs.push(figures)
    }
    const measured = { workers, restUs, runs, versions: cluster.stores.versions }
    stage.say(`${workers} workers: ${together(measured).toFixed(1)} µs per message`)
    return measured
  } finally {
    await teardown.run(true)
  }
}

/** CPU µs per second of a cluster that has nothing to do. */
async function costOfRest({ members }: LoadCluster): Promise<Record<string, number>> {
  await sleep(SETTLE_MS)
  const before = cpuTimes(members)
  await sleep(REST_MS)
  const after = cpuTimes(members)
  const seconds = REST_MS / MS_PER_SECOND
  return Object.fromEntries(Object.entries(after).map(([name, us]) => [name, (us - (before[name] ?? 0)) / seconds]))
}

const PARTS = ['redis', 'postgres', 'worker', 'edge', 'coordinator'] as const

function costTable(measured: readonly Measured[]): Table {
  return {
    head: ['workers', 'answered/s', 'p99', ...PARTS, 'together', 'beyond rest', 'at rest'],
    rows: measured.map((each) => [
      String(each.workers),
      String(Math.round(median(each.runs.map(({ report }) => report.roundTripsPerSecond)))),
      `${median(each.runs.map(({ report }) => report.latency.p99)).toFixed(1)} ms`,
      ...PARTS.map((part) => perMessage(each, part).toFixed(1)),
      together(each).toFixed(1),
      (together(each) - restPerMessage(each)).toFixed(1),
      `${Math.round(sum(Object.values(each.restUs)) / US_PER_MS)} ms`,
    ]),
  }
}

const perMessage = ({ runs }: Measured, part: string): number =>
  median(runs.map(({ cpuUs }) => cpuUs[part] ?? 0)) / MESSAGES_PER_ROUND_TRIP

/** What the cluster would have spent without any message, shared among them. */
function restPerMessage({ runs, restUs }: Measured): number {
  const perSecond = MESSAGES_PER_ROUND_TRIP * median(runs.map(({ report }) => report.roundTripsPerSecond))
  return perSecond === 0 ? 0 : sum(Object.values(restUs)) / perSecond
}

const together = (measured: Measured): number => sum(PARTS.map((part) => perMessage(measured, part)))

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Says whether the cost of a message depends on the number of workers. */
export function verdict(costs: readonly { readonly workers: number; readonly us: number }[]): string {
  const [smallest] = costs
  if (!smallest || smallest.us === 0) return 'There is nothing to compare.'
  const shares = costs.map(({ us }) => us / smallest.us - 1)
  const most = shares.reduce((worst, share) => (Math.abs(share) > Math.abs(worst) ? share : worst), 0)
  const isFlat = Math.abs(most) <= FLAT
  const range = `${smallest.workers} to ${costs.at(-1)?.workers} workers`
  const change = `${most < 0 ? '−' : '+'}${Math.abs(most * 100).toFixed(0)} %`
  return isFlat
    ? `Flat from ${range}: ${change} at most.`
    : `Not flat from ${range}: up to ${change}; the aim is ± 10 %.`
}
