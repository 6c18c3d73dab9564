/**
 * A few seconds of every kind of load: a closed loop, an open loop, and k6 where it can be had. Says whether all is right,
 * not how fast it is.
 */
import { findK6, k6Version } from '../k6/run-k6.js'
import { measureCluster } from '../measure/load-figures.js'
import { loadTable } from '../measure/tables.js'
import { k6Table, measureK6, NO_K6 } from './k6-figures.js'
import { outcome, planFor, ready } from './peak.js'
import type { Outcome, Stage } from './scenario.js'

const DEFAULTS = { connections: 40, seconds: 2, rate: 200 }
const WARMUP_SECONDS = 1

export async function smoke(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage)
  const plan = { ...planFor(cluster, connections, seconds), warmupSeconds: WARMUP_SECONDS }
  const closed = await measureCluster(cluster, plan, 0)
  const open = await measureCluster(cluster, { ...plan, rate }, closed.report.events)
  const eventsBefore = closed.report.events + open.report.events
  const k6 = findK6()
  const load = { script: 'smoke.js', rate, seconds, eventsBefore } as const
  const byK6 = k6 === undefined ? undefined : await measureK6(stage, cluster, k6, load)
  const summary = `${connections} connections, ${seconds} s in a closed loop and ${seconds} s at ${rate} commands/s`
  const base = outcome(summary, stage, cluster, [closed])
  return {
    ...base,
    versions: { ...base.versions, ...(k6 !== undefined && { k6: k6Version(k6) }) },
    tables: [...base.tables, loadTable([open]), ...(byK6 === undefined ? [] : [k6Table([byK6], load)])],
    notes: byK6 === undefined ? [NO_K6] : [],
    figures: { closed, open, k6: byK6 },
    faults: [...base.faults, ...open.faults, ...(byK6?.faults ?? [])],
  }
}
