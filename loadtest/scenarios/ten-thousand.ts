/**
 * 10,000 commands a second, whatever the service does: by k6, which judges throughput and the books, and by the lean
 * generator, which judges latency.
 */
import type { Plan } from '../generator/plan.js'
import { findK6, k6Version } from '../k6/run-k6.js'
import { type LoadFigures, measureCluster } from '../measure/load-figures.js'
import { type K6Figures, k6Table, measureK6, NO_K6 } from './k6-figures.js'
import { outcome, planFor, ready } from './peak.js'
import type { Outcome, Stage } from './scenario.js'

const DEFAULTS = { connections: 200, seconds: 60, rate: 10_000 }

export async function tenThousand(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage)
  const k6 = findK6()
  const plan: Plan = { ...planFor(cluster, connections, seconds), rate }
  const lean: LoadFigures[] = []
  const heavy: K6Figures[] = []
  let events = 0
  for (let run = 0; run < stage.options.repeat; run++) {
    const figures = await measureCluster(cluster, plan, events)
    events += figures.report.events
    lean.push(figures)
    sayShortly(stage, figures)
    if (k6 === undefined) continue
    const byK6 = await measureK6(stage, cluster, k6, { script: '10k.js', rate, seconds, eventsBefore: events })
    events = byK6.events
    heavy.push(byK6)
  }
  const summary = `Open loop, ${rate} commands/s for ${seconds} s over ${connections} sessions`
  const base = outcome(summary, stage, cluster, lean)
  return {
    ...base,
    versions: { ...base.versions, ...(k6 !== undefined && { k6: k6Version(k6) }) },
    tables: [...base.tables, ...(heavy.length === 0 ? [] : [k6Table(heavy, { rate, seconds })])],
    notes: [k6 === undefined ? NO_K6 : 'The generator judges latency; k6 judges throughput and the books.'],
    figures: { generator: lean, k6: heavy },
    faults: [...base.faults, ...heavy.flatMap(({ faults }) => faults)],
  }
}

function sayShortly(stage: Stage, { report }: LoadFigures): void {
  const { p50, p99 } = report.latency
  stage.say(`generator: ${report.roundTripsPerSecond} round trips/s, p50 ${p50} ms, p99 ${p99} ms`)
}
