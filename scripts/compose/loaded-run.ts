/**
 * The composed cluster under load and harm, and the judgement over what its clients got.
 */
import { type FaultLine, now, type RunLine } from '../../src/chaos/journal.js'
import { JournalWriter, journalFiles } from '../../src/chaos/journal-file.js'
import { type Judgement, judge } from '../../src/chaos/judgement.js'
import { LoadProcess } from '../../src/chaos/load/load-process.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { FaultRun } from './fault-run.js'
import { cutWorker, growWorkers, killWorker, pauseEdge, roll } from './harms.js'
import type { Project } from './project.js'

/** Sessions that always have work, beside those that carry the rate. A model would have to be reached: none is asked. */
const MIX = { quick: 32, streaming: 12, agents: 0, controlled: 4 }
const DUPLICATES_PERCENT = 2
/** As if there were so many addresses: the balancer spreads what connects to the one. */
const CONNECTIONS = 3
/** What was accepted must have ended by then after everything has healed: the definition of lost. */
const LOST_AFTER_MS = 60_000

export interface LoadOptions {
  readonly project: Project
  /** Of the journals; it exists. */
  readonly folder: string
  readonly seed: number
  /** Quick commands a second. */
  readonly rate: number
  /** The image that edges and workers are upgraded to. */
  readonly next: string
  readonly tell: (sentence: string) => void
}

export async function runUnderLoad(options: LoadOptions, teardown: Teardown): Promise<Judgement> {
  const { project, folder, seed, rate, tell } = options
  const load = new LoadProcess()
  teardown.add('the load', () => load.stop())
  const edges = Array.from({ length: CONNECTIONS }, () => ({ url: project.url, node: 'balancer' }))
  const plan = { mix: MIX, duplicatesPercent: DUPLICATES_PERCENT, token: project.token }
  await load.start({ seed, folder, edges, rate, ...plan })
  tell(`${rate} commands a second, ${MIX.streaming + MIX.controlled} sessions stream`)
  const journal = new JournalWriter<FaultLine>(journalFiles.faults(folder))
  const runner = new FaultRun({ project, load, journal, tell })
  const began = now()
  await harm(runner, options)
  const report = await load.finish(LOST_AFTER_MS)
  journal.close()
  const ended = now()
  const run: RunLine = { kind: 'run', seed, began, loadEnded: ended, ended }
  return judge({ folder, load: report, runner, run, stores: project })
}

async function harm(runner: FaultRun, { project, next }: LoadOptions): Promise<void> {
  await runner.do(await killWorker(project))
  await runner.do(await pauseEdge(project))
  await runner.do(await cutWorker(project))
  await runner.do(growWorkers(project))
  await runner.do(roll(project, 'edge', next))
  await runner.do(roll(project, 'worker', next))
}
