/**
 * A moderate rate for long: what grows with time, and not with load, shows here.
 */
import { findRunner } from '../k6/runner.js'
import type { Sample } from '../measure/sampler.js'
import { median } from '../measure/tables.js'
import { BALANCED, wayNotes } from './balanced.js'
import { k6Plots, k6Table, measureK6 } from './k6-figures.js'
import { nodesOf, ready } from './peak.js'
import type { Outcome, Stage, Table } from './scenario.js'

const DEFAULTS = { seconds: 600, rate: 500 }
/** Virtual users × sockets × sessions, as the script has them. */
const K6_SESSIONS = 200
/** Of the second half over the first: heaps breathe, and compilers and caches fill in the first minutes. */
const MOST_GROWTH = 0.25
/** Postgres keeps every event: its growth is its job. */
const MAY_GROW = ['postgres']
/** Below this a part may grow by any share of itself. */
const NOISE_MB = 30

export async function soak(stage: Stage): Promise<Outcome> {
  const { seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage, BALANCED)
  const runner = findRunner()
  const load = { script: 'soak.js', rate, seconds, sessions: K6_SESSIONS, eventsBefore: 0 } as const
  const figures = await measureK6(stage, cluster, runner, load)
  const growth = growthOf(figures.samples)
  return {
    summary: `${rate} commands/s for ${seconds} s; ${nodesOf(cluster)}, all durable.`,
    versions: { ...cluster.stores.versions, ...runner.versions },
    tables: [k6Table([figures], load, runner.name), growthTable(growth)],
    plots: k6Plots(figures, ['answered'], 'Latency, sampled'),
    notes: ['Memory: medians of the second and the fourth quarter of the run.', ...wayNotes(cluster, runner)],
    figures,
    faults: [...figures.faults, ...leaks(growth)],
  }
}

export interface Growth {
  readonly name: string
  readonly beforeMb: number
  readonly afterMb: number
}

/** The second quarter against the fourth: the first one is start and warm-up. */
export function growthOf(samples: readonly Sample[]): Growth[] {
  const quarter = (number: number): readonly Sample[] =>
    samples.slice(Math.floor((samples.length * (number - 1)) / 4), Math.floor((samples.length * number) / 4))
  const middle = (name: string, part: readonly Sample[]): number =>
    median(part.map(({ residentMb }) => residentMb[name] ?? 0))
  return Object.keys(samples[0]?.residentMb ?? {}).map((name) => ({
    name,
    beforeMb: middle(name, quarter(2)),
    afterMb: middle(name, quarter(4)),
  }))
}

export const leaks = (growth: readonly Growth[]): string[] =>
  growth
    .filter(({ name }) => !MAY_GROW.includes(name))
    .filter(({ beforeMb, afterMb }) => afterMb - beforeMb > Math.max(NOISE_MB, beforeMb * MOST_GROWTH))
    .map(({ name, beforeMb, afterMb }) => `${name} grew from ${Math.round(beforeMb)} to ${Math.round(afterMb)} MB`)

const growthTable = (growth: readonly Growth[]): Table => ({
  head: ['RSS in MB', 'second quarter', 'fourth quarter'],
  rows: growth.map(({ name, beforeMb, afterMb }) => [name, beforeMb.toFixed(0), afterMb.toFixed(0)]),
})
