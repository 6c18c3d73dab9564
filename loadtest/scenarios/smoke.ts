/**
 * A few seconds of every kind of load: a closed loop, an open loop, and k6's script. Says whether all is right, not how
 * fast it is.
 */
import { findRunner } from '../k6/runner.js'
import { measureCluster } from '../measure/load-figures.js'
import { loadTable } from '../measure/tables.js'
import { BALANCED, wayNotes } from './balanced.js'
import { k6Table, measureK6 } from './k6-figures.js'
import { outcome, planFor, ready } from './peak.js'
import type { Outcome, Stage } from './scenario.js'

const DEFAULTS = { connections: 40, seconds: 2, rate: 200 }
const WARMUP_SECONDS = 1
/** Virtual users × sockets × sessions, as the script has them. */
const K6_SESSIONS = 40

export async function smoke(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds, rate = DEFAULTS.rate } = stage.options
  const cluster = await ready(stage, BALANCED)
  const plan = { ...planFor(cluster, connections, seconds), warmupSeconds: WARMUP_SECONDS }
  const closed = await measureCluster(cluster, plan, 0)
  const open = await measureCluster(cluster, { ...plan, rate }, closed.report.events)
  const eventsBefore = closed.report.events + open.report.events
  const runner = findRunner()
  const load = { script: 'smoke.js', rate, seconds, sessions: K6_SESSIONS, eventsBefore } as const
  const byK6 = await measureK6(stage, cluster, runner, load)
  const summary = `${connections} connections, ${seconds} s in a closed loop and ${seconds} s at ${rate} commands/s`
  const base = outcome(summary, cluster, [closed])
  return {
    ...base,
    versions: { ...base.versions, ...runner.versions },
    tables: [...base.tables, loadTable([open]), k6Table([byK6], load, runner.name)],
    notes: wayNotes(cluster, runner),
    figures: { closed, open, k6: byK6 },
    faults: [...base.faults, ...open.faults, ...byK6.faults],
  }
}
