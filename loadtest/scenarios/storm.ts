/**
 * Reconnect storms: every client loses its connection in the same instant, and all come back at once.
 */
import { findRunner } from '../k6/runner.js'
import { BALANCED, wayNotes } from './balanced.js'
import { accounting, costs, type K6Figures, k6Plots, latencies, measureK6 } from './k6-figures.js'
import { nodesOf, ready } from './peak.js'
import type { Outcome, Stage, Table } from './scenario.js'

const DEFAULTS = { connections: 1_000, seconds: 40 }

export async function storm(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds } = stage.options
  const cluster = await ready(stage, BALANCED)
  const runner = findRunner()
  const load = { script: 'storm.js', rate: connections, seconds, sessions: connections, eventsBefore: 0 } as const
  const figures = await measureK6(stage, cluster, runner, load)
  return {
    summary: `${connections} clients with a session each, all cut off every 10 s for ${seconds} s; ${nodesOf(cluster)}.`,
    versions: { ...cluster.stores.versions, ...runner.versions },
    tables: [stormTable(figures, runner.name)],
    plots: k6Plots(figures, ['answered', 'resumed'], 'Back after'),
    notes: [
      'Back after: from the cut to the answer that the session goes on at the client’s place; clients do not wait before they come back.',
      ...wayNotes(cluster, runner),
    ],
    figures,
    faults: figures.faults,
  }
}

function stormTable(figures: K6Figures, name: string): Table {
  const { lost = 0, resumed = 0, refused = 0 } = figures.summary.counts
  const count = (value: number): string => value.toLocaleString('en-US')
  return {
    head: [name, 'figure'],
    rows: [
      ['connections cut · sessions resumed', `${count(lost)} · ${count(resumed)}`],
      ['connections refused, tried again', count(refused)],
      ['back after p50 · p99 · max', latencies([figures])],
      ['commands sent = answered', `${accounting([figures])}, no gap in any session`],
      ['CPU µs per command, storms included', costs([figures])],
    ],
  }
}
