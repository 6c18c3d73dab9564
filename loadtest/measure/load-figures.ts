/**
 * One load run on a cluster with all that is known about it: the generator's report, what each process spent, and what was
 * still to be done afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadCluster } from '../cluster/cluster.js'
import type { LoadStores } from '../cluster/stores.js'
import type { Plan, Report } from '../generator/plan.js'
import { generateLoad } from '../generator/start.js'
import { type CpuTimes, costPerRoundTrip, cpuTimes, type Members, residentByName } from './processes.js'

/** Postgres follows the log by seconds at most; longer means that it does not follow at all. */
const PROJECTION_TIMEOUT_MS = 180_000
const POLL_MS = 100
const BYTES_PER_MB = 1_000_000

export interface LoadFigures {
  readonly report: Report
  /** CPU µs per round trip, by process. */
  readonly cpuUs: Readonly<Record<string, number>>
  /** Resident memory in MB at the end of the measured time, by process. */
  readonly residentMb: Readonly<Record<string, number>>
  readonly backlog: Backlog | undefined
  /** Everything that must not have happened. */
  readonly faults: readonly string[]
}

export interface Backlog {
  /** Commands that no worker had finished when the generator had all of its answers. */
  readonly commands: number
  readonly redisMb: number
  /** Events that Postgres did not have at that moment. */
  readonly events: number
  /** Until it had them all; undefined when it gave up waiting. */
  readonly drainedAfterMs: number | undefined
}

/** Runs `plan` on any processes: no more than the report and their cost. */
export async function measureLoad(plan: Plan, members: Members): Promise<LoadFigures> {
  let before: CpuTimes = {}
  let after: CpuTimes = {}
  let residentMb: Record<string, number> = {}
  const report = await generateLoad(plan, {
    onMeasuring: (generator) => {
      before = cpuTimes({ ...members, generator: [generator] })
    },
    onMeasured: (generator) => {
      after = cpuTimes({ ...members, generator: [generator] })
      residentMb = inMb(residentByName({ ...members, generator: [generator] }))
    },
  })
  const cpuUs = costPerRoundTrip(before, after, report.roundTrips)
  return { report, cpuUs, residentMb, backlog: undefined, faults: report.faults }
}

/** The same on the cluster, and then waits until Postgres has all events. `eventsBefore` stem from earlier runs. */
export async function measureCluster(cluster: LoadCluster, plan: Plan, eventsBefore: number): Promise<LoadFigures> {
  const figures = await measureLoad(plan, cluster.members)
  const backlog = await waitForProjection(cluster.stores, eventsBefore + figures.report.events)
  const stuck = backlog.drainedAfterMs === undefined ? ['Postgres does not have all events'] : []
  const dead = [...cluster.edges, ...cluster.workers].filter(({ running }) => !running)
  const ended = dead.map(({ name }) => `${name} has ended`)
  return { ...figures, backlog, faults: [...figures.faults, ...stuck, ...ended] }
}

/** Waits until Postgres has `expected` events, and says how far behind it was. */
export async function waitForProjection(stores: LoadStores, expected: number): Promise<Backlog> {
  const startedAt = performance.now()
  const commands = await stores.unfinishedCommands()
  const redisMb = Math.round((await stores.redisBytes()) / BYTES_PER_MB)
  const events = expected - (await stores.projectedEvents())
  for (;;) {
    const projected = await stores.projectedEvents()
    const waitedMs = performance.now() - startedAt
    const drained = projected >= expected && (await stores.countedEvents()) >= expected
    if (drained) return { commands, redisMb, events, drainedAfterMs: Math.round(waitedMs) }
    if (waitedMs > PROJECTION_TIMEOUT_MS) return { commands, redisMb, events, drainedAfterMs: undefined }
    await sleep(POLL_MS)
  }
}

const inMb = (bytes: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, Math.round(value / BYTES_PER_MB)]))
