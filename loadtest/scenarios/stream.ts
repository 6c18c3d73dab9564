/**
 * Sessions that stream the text of a model, and what the service adds to the way of each piece from the model to the client.
 */
import { startStampingModel } from '../cluster/stamping-model.js'
import { findRunner } from '../k6/runner.js'
import { BALANCED, wayNotes } from './balanced.js'
import { accounting, type K6Figures, k6Plots, latencies, measureK6 } from './k6-figures.js'
import { nodesOf, ready } from './peak.js'
import type { Outcome, Stage, Table } from './scenario.js'

const DEFAULTS = { connections: 100, seconds: 30 }
/** Of one session: the pace of a quick vendor. */
const PIECES_PER_SECOND = 20
const US_PER_SECOND = 1_000_000

export async function stream(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds } = stage.options
  const model = await stage.teardown.open('the model', startStampingModel(PIECES_PER_SECOND))
  const env = { OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'stamping' }
  const cluster = await ready(stage, BALANCED, env)
  const runner = findRunner()
  const load = { script: 'stream.js', rate: connections, seconds, eventsBefore: 0 } as const
  const figures = await measureK6(stage, cluster, runner, load)
  return {
    summary: `${connections} sessions that stream ${PIECES_PER_SECOND} pieces/s each for ${seconds} s; ${nodesOf(cluster)}.`,
    versions: { ...cluster.stores.versions, ...runner.versions },
    tables: [streamTable(figures, seconds, runner.name)],
    plots: k6Plots(figures, ['pieces'], 'Added latency'),
    notes: [
      'Added: from the moment that the model writes a piece to the moment that the client has it, by one clock.',
      ...wayNotes(cluster, runner),
    ],
    figures,
    faults: figures.faults,
  }
}

function streamTable(figures: K6Figures, seconds: number, name: string): Table {
  const { pieces = 0 } = figures.summary.counts
  const perPiece = Object.entries(figures.costUs).map(([part, us]) => {
    const total = us * (figures.summary.counts.answered ?? 0)
    return `${part} ${(total / Math.max(1, pieces)).toFixed(1)}`
  })
  const cores = figures.cpuUs / US_PER_SECOND / seconds
  return {
    head: [name, 'figure'],
    rows: [
      ['pieces/s', Math.round(pieces / seconds).toLocaleString('en-US')],
      ['added latency p50 · p99 · max', latencies([figures])],
      ['tasks begun = ended', `${accounting([figures])}, no piece missing`],
      ['CPU µs per piece', perPiece.join(' · ')],
      [`cores used by ${name} itself`, cores.toFixed(2)],
    ],
  }
}
