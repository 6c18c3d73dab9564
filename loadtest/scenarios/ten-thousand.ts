/**
 * 10,000 commands a second for five minutes, whatever the service does; where that is too much for the machine, the highest
 * rate that leaves the books exact: looked for with short runs, and then held as long. k6 judges throughput and the books,
 * the lean generator latency.
 */
import { findRunner } from '../k6/runner.js'
import { measureCluster } from '../measure/load-figures.js'
import { loadTable } from '../measure/tables.js'
import { BALANCED, wayNotes } from './balanced.js'
import { type K6Figures, k6Plots, k6Table, measureK6 } from './k6-figures.js'
import { nodesOf, planFor, ready } from './peak.js'
import type { Outcome, Stage } from './scenario.js'

const DEFAULTS = { connections: 200, seconds: 300, rate: 10_000 }
/** Virtual users × sockets × sessions, as the script has them. */
const K6_SESSIONS = 200
/** Long enough for the queues of a rate that is too high to fill. */
const PROBE_SECONDS = 15
/** The first probe is for the compilers, and counts for nothing. */
const WARMUP = { rate: 500, seconds: 15 }
/** The search ends when what holds and what does not are this near. */
const NEAR = 0.05
const LOWEST_RATE = 100
/** A rate that just held for seconds does not hold for minutes: the first to try is lower by this, and so is each next one. */
const STEP_BACK = 0.9
const MAX_TRIES = 4
/** Latency is judged over this time at most, after the long run. */
const LEAN_SECONDS = 60

export async function tenThousand(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage, BALANCED)
  const runner = findRunner()
  let events = 0
  const run = async (load: { rate: number; seconds: number }): Promise<K6Figures> => {
    const figures = await measureK6(stage, cluster, runner, {
      ...{ ...load, script: '10k.js', sessions: K6_SESSIONS, eventsBefore: events },
    })
    events = figures.events
    return figures
  }
  await run(WARMUP)
  const probes: Probe[] = []
  const highest = await highestRate(rate, probes, run, stage)
  const first = highest === rate ? rate : Math.round(highest * STEP_BACK)
  const held = await longest(first, seconds, probes, run, stage)
  const plan = { ...planFor(cluster, connections, Math.min(seconds, LEAN_SECONDS)), rate: held.rate }
  const lean = await measureCluster(cluster, plan, events)
  return {
    summary: summaryOf(rate, held, seconds, nodesOf(cluster)),
    versions: { ...cluster.stores.versions, ...runner.versions },
    tables: [k6Table([held.figures], { rate: held.rate, seconds }, runner.name), loadTable([lean]), probeTable(probes)],
    plots: k6Plots(held.figures, ['answered'], 'Latency, sampled'),
    notes: ['The generator judges latency; k6 judges throughput and the books.', ...wayNotes(cluster, runner)],
    figures: { rate: held.rate, k6: held.figures, generator: lean, probes },
    faults: [...held.figures.faults, ...lean.faults],
  }
}

type Run = (load: { rate: number; seconds: number }) => Promise<K6Figures>

interface Probe {
  readonly rate: number
  readonly seconds: number
  readonly exact: boolean
  readonly answeredPerSecond: number
}

interface Held {
  readonly rate: number
  readonly figures: K6Figures
}

/** The highest rate that holds for some seconds: the wanted one, or one between what holds and what does not. */
async function highestRate(wanted: number, probes: Probe[], run: Run, stage: Stage): Promise<number> {
  let [low, high] = [LOWEST_RATE, wanted]
  let rate = wanted
  while (high - low > NEAR * high || rate === wanted) {
    const probe = await tryRate({ rate, seconds: PROBE_SECONDS }, probes, run, stage)
    if (probe.exact && rate === wanted) return wanted
    if (probe.exact) low = rate
    else high = rate
    // What came through in spite of all says where to look first.
    const likely = probe.answeredPerSecond
    rate = rate === wanted && likely > low ? Math.round(likely) : Math.round((low + high) / 2)
    if (rate >= high) rate = Math.round((low + high) / 2)
  }
  return low
}

async function tryRate(
  load: { rate: number; seconds: number },
  probes: Probe[],
  run: Run,
  stage: Stage,
): Promise<Probe & { figures: K6Figures }> {
  const figures = await run(load)
  const exact = figures.faults.length === 0
  const answeredPerSecond = Math.round((figures.summary.counts.answered ?? 0) / load.seconds)
  const probe = { ...load, exact, answeredPerSecond }
  probes.push(probe)
  stage.say(`${load.rate} commands/s for ${load.seconds} s: ${exact ? 'exact' : 'too much'}`)
  return { ...probe, figures }
}

/** The same for as long as was asked for. The last try stands, right or wrong. */
async function longest(first: number, seconds: number, probes: Probe[], run: Run, stage: Stage): Promise<Held> {
  let rate = first
  for (let attempt = 1; ; attempt++) {
    const { exact, figures } = await tryRate({ rate, seconds }, probes, run, stage)
    if (exact || attempt === MAX_TRIES) return { rate, figures }
    rate = Math.round(rate * STEP_BACK)
  }
}

function summaryOf(wanted: number, { rate, figures }: Held, seconds: number, nodes: string): string {
  const load = `${rate} commands/s for ${seconds} s`
  const what = rate === wanted ? `Open loop, ${load}` : `Open loop, ${load}: the highest rate that held, of ${wanted}`
  return `${what}; ${nodes}, all durable${figures.faults.length === 0 ? '' : '; the books are not exact'}.`
}

const probeTable = (probes: readonly Probe[]) => ({
  head: ['tried: commands/s', 'seconds', 'answered/s', 'books'],
  rows: probes.map(({ rate, seconds, answeredPerSecond, exact }) => [
    ...[rate, seconds, answeredPerSecond].map((value) => value.toLocaleString('en-US')),
    exact ? 'exact' : 'too much',
  ]),
})
