/**
 * The one message that the published daemon answers under load as this service does: `ping`, side by side in one run.
 */
import { Teardown } from '../../src/chaos/teardown.js'
import { PUBLISHED_VERSION, startPublishedDaemon } from '../baselines/published-daemon.js'
import { startCluster } from '../cluster/cluster.js'
import type { Plan } from '../generator/plan.js'
import { pingTable, type SubjectFigures } from '../measure/bench-table.js'
import { type LoadFigures, measureLoad } from '../measure/load-figures.js'
import type { Members } from '../measure/processes.js'
import { type Outcome, type Stage, sizeOf } from './scenario.js'

const WARMUP_SECONDS = 5
/** Its name in the tables. */
const SERVICE = 'this service'

export interface Pings {
  readonly subjects: readonly SubjectFigures[]
  /** Why the published daemon is missing. */
  readonly note: string | undefined
}

const DEFAULTS = { connections: 200, seconds: 10 }

/** Nothing but the pings. */
export async function benchPings(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, seconds = DEFAULTS.seconds } = stage.options
  const { subjects, note } = await measurePings(stage, { connections, seconds })
  return {
    summary: `\`ping\` over ${connections} connections that each wait for their answer, ${seconds} s.`,
    versions: note === undefined ? { 'published daemon': PUBLISHED_VERSION } : {},
    tables: [pingTable(subjects)],
    notes: note === undefined ? [] : [note],
    figures: subjects,
    faults: subjects.flatMap(({ name, closed }) => (name === SERVICE ? closed.flatMap(({ faults }) => faults) : [])),
  }
}

type Subject = Pick<Plan, 'targets' | 'tokens'> & { readonly members: Members }

export async function measurePings(
  stage: Stage,
  load: { readonly connections: number; readonly seconds: number },
): Promise<Pings> {
  const plan = { ...load, dialect: 'ping', warmupSeconds: WARMUP_SECONDS } as const
  const service = await measure(stage, SERVICE, plan, async (teardown) => {
    const { targets, tokens, members } = await startCluster(teardown, sizeOf(stage.options))
    return { targets, tokens, members }
  })
  try {
    const published = await measure(stage, 'the published daemon', plan, async (teardown) => {
      const { pid, port } = await startPublishedDaemon(teardown)
      return { targets: [{ host: '127.0.0.1', port }], tokens: [], members: { server: [pid] } }
    })
    return { subjects: [service, published], note: undefined }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { subjects: [service], note: `The published daemon was left out: ${reason.replaceAll('\n', ' ')}` }
  }
}

/** Each alone: started for this and stopped after it. */
async function measure(
  stage: Stage,
  name: string,
  load: Omit<Plan, 'targets' | 'tokens'>,
  open: (teardown: Teardown) => Promise<Subject>,
): Promise<SubjectFigures> {
  const teardown = new Teardown()
  stage.teardown.add(name, (hurry) => teardown.run(hurry))
  try {
    const { members, ...subject } = await open(teardown)
    const closed: LoadFigures = await measureLoad({ ...load, ...subject }, members)
    const { roundTripsPerSecond, latency } = closed.report
    stage.say(`ping, ${name}: ${roundTripsPerSecond} answers/s, p99 ${latency.p99} ms`)
    return { name, closed: [closed], open: [] }
  } finally {
    await teardown.run(true)
  }
}
