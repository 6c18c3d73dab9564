/**
 * The same load, in one run on one machine, on four subjects: a bare uWebSockets.js echo (no job at all), bare Redis Streams
 * (the same hops, no guarantees), this service (everything on), and Socket.IO with its Redis Streams adapter (the same
 * hops, delivery at most once).
 */

import { startRedis } from '../../scripts/servers/servers.js'
import { Teardown } from '../../src/chaos/teardown.js'
import { PUBLISHED_VERSION } from '../baselines/published-daemon.js'
import { type RunningBaseline, startBaseline } from '../baselines/ready.js'
import { startCluster } from '../cluster/cluster.js'
import type { DialectName } from '../generator/dialect.js'
import type { Plan } from '../generator/plan.js'
import { benchTable, partsTable, pingTable, type SubjectFigures } from '../measure/bench-table.js'
import { type LoadFigures, measureLoad, waitForProjection } from '../measure/load-figures.js'
import type { Members } from '../measure/processes.js'
import { measurePings } from './bench-pings.js'
import { type Outcome, type Stage, sizeOf } from './scenario.js'

const DEFAULTS = { connections: 200, seconds: 10, rate: 10_000 }
/** Until the compilers of all processes have seen the hot path often enough. */
const WARMUP_SECONDS = 10

/** Something under load: where it listens, how one speaks to it, and which processes it is made of. */
interface Subject {
  readonly dialect: DialectName
  readonly targets: Plan['targets']
  readonly tokens: readonly string[]
  readonly members: Members
  readonly versions?: Readonly<Record<string, string>>
  /** Resolves when nothing is left to do behind a load that made so many events. */
  readonly settled?: (events: number) => Promise<unknown>
}

interface Candidate {
  readonly name: string
  open(teardown: Teardown, stage: Stage): Promise<Subject>
}

const CANDIDATES: readonly Candidate[] = [
  { name: 'uWebSockets.js echo', open: openEcho },
  { name: 'Redis Streams', open: (teardown) => openPair(teardown, 'mirror', 'streams') },
  { name: 'this service', open: openService },
  { name: 'Socket.IO + Redis Streams adapter', open: (teardown) => openPair(teardown, 'socket-io', 'socket-io') },
]

export async function bench(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULTS.connections, rate = DEFAULTS.rate, seconds = DEFAULTS.seconds } = stage.options
  const measured = new Map<string, SubjectFigures>(CANDIDATES.map(({ name }) => [name, { name, closed: [], open: [] }]))
  const versions: Record<string, string> = {}
  for (let round = 0; round < stage.options.repeat; round++) {
    for (const candidate of CANDIDATES) {
      Object.assign(versions, await measure(candidate, stage, measured, { connections, rate, seconds }))
    }
  }
  const subjects = [...measured.values()]
  const pings = await measurePings(stage, { connections, seconds })
  return {
    summary: `${connections} connections, ${seconds} s in a closed loop and ${seconds} s at ${rate} messages/s; same generator.`,
    versions: { ...versions, ...(pings.note === undefined && { 'published daemon': PUBLISHED_VERSION }) },
    tables: [benchTable(subjects), partsTable(subjects), pingTable(pings.subjects)],
    notes: [
      'Socket.IO: over uWebSockets.js, one server takes the clients and one does the work; both ways go through the ' +
        "adapter's stream. It answers with one message, this service with two durable events.",
      '`ping` is answered at the door: by the edge of a whole cluster, and by the daemon that is published under this name.',
      ...(pings.note === undefined ? [] : [pings.note]),
    ],
    figures: { subjects, pings: pings.subjects },
    faults: [...subjects, ...pings.subjects].flatMap(faultsOfService),
  }
}

/** Each subject runs alone: what it needs is started for it and stopped after it. Returns versions of what it ran on. */
async function measure(
  candidate: Candidate,
  stage: Stage,
  measured: ReadonlyMap<string, SubjectFigures>,
  load: typeof DEFAULTS,
): Promise<Subject['versions']> {
  const teardown = new Teardown()
  stage.teardown.add(candidate.name, (hurry) => teardown.run(hurry))
  try {
    const { members, versions, settled, ...subject } = await candidate.open(teardown, stage)
    const { connections, seconds, rate } = load
    const plan: Plan = { ...subject, connections, seconds, warmupSeconds: WARMUP_SECONDS }
    const closed = await measureLoad(plan, members)
    await settled?.(closed.report.events)
    const open = await measureLoad({ ...plan, rate }, members)
    measured.get(candidate.name)?.closed.push(closed)
    measured.get(candidate.name)?.open.push(open)
    stage.say(`${candidate.name}: ${shortly(closed)}; at ${rate}/s ${shortly(open)}`)
    return versions
  } finally {
    await teardown.run(true)
  }
}

const shortly = ({ report }: LoadFigures): string =>
  `${report.roundTripsPerSecond} round trips/s, p99 ${report.latency.p99} ms`

/** The others promise nothing, so what they lose is a figure; what this service loses is a fault. */
const faultsOfService = ({ name, closed, open }: SubjectFigures): string[] =>
  name === 'this service' ? [...closed, ...open].flatMap((run) => run.faults) : []

async function openEcho(teardown: Teardown): Promise<Subject> {
  const echo = await startBaseline(teardown, './uws-echo.ts')
  return { dialect: 'mirror', targets: targetsOf(echo), tokens: [], members: { server: [echo.pid] } }
}

async function openPair(teardown: Teardown, dialect: DialectName, program: string): Promise<Subject> {
  const redis = await teardown.open('Redis', startRedis({ own: true }))
  const worker = await startBaseline(teardown, `./${program}-worker.ts`, [redis.url])
  const gateway = await startBaseline(teardown, `./${program}-gateway.ts`, [redis.url])
  const members = { redis: redis.pid === undefined ? [] : [redis.pid], worker: [worker.pid], edge: [gateway.pid] }
  return { dialect, targets: targetsOf(gateway), tokens: [], members }
}

async function openService(teardown: Teardown, { options }: Stage): Promise<Subject> {
  const { targets, tokens, members, stores } = await startCluster(teardown, sizeOf(options))
  const settled = (events: number): Promise<unknown> => waitForProjection(stores, events)
  return { dialect: 'service', targets, tokens, members, versions: stores.versions, settled }
}

const targetsOf = ({ port }: RunningBaseline): Plan['targets'] => [{ host: '127.0.0.1', port }]
