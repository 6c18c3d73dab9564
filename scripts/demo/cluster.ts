/**
 * The demo as a cluster: six processes, Redis and Postgres, twenty sessions at once, and a kill -9 of a worker that
 * streams. Every client's text is compared with the log afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RandomInteger, seededRandom } from '../../src/chaos/seeded-random.js'
import { nodeName } from '../../src/protocol/ids.js'
import { type ClusterNodes, startNodes } from './cluster-nodes.js'
import { CountingSession } from './counting-session.js'
import { openModel } from './model-source.js'
import type { Outcome, Run } from './outcome.js'
import { Progress } from './progress.js'
import { seconds } from './screen.js'
import { openStores, type Stores } from './stores.js'
import { type Finished, failuresOf, figuresOf, showVerdict } from './verdict.js'
import { type Kill, killOneWorker } from './worker-kill.js'

/** A piece is about one numbered word: a pace that one can read. */
const PIECES_PER_SECOND = 9
/** Twelve to sixteen seconds at that pace. */
const SCRIPTED_COUNTS = { min: 100, max: 140 }
/** Vendors are quicker: the kill must still find sessions that stream. */
const VENDOR_COUNTS = { min: 350, max: 450 }
/** Streaming goes on for so long before the kill, so that there is something to see. */
const KILL_AFTER_MS = 4_000
/** All sessions have begun by then, or the kill does not wait for the others. */
const BEGIN_TIMEOUT_MS = 20_000
/** Several times what the slowest takes, with a takeover in between. */
const END_TIMEOUT_MS = 180_000
/** Postgres follows the log by milliseconds; longer means that something is lost. */
const PROJECTION_TIMEOUT_MS = 10_000
const POLL_MS = 50

export async function runCluster(run: Run): Promise<Outcome> {
  const { screen, teardown, options } = run
  screen.heading('A cluster: 2 edges, 3 workers, 1 coordinator, Redis and PostgreSQL')
  const random = seededRandom(options.seed)
  const model = await openModel(teardown, PIECES_PER_SECOND)
  screen.line(model.description)
  const stores = await openStores(teardown)
  const startedAt = performance.now()
  const nodes = await startNodes(teardown, stores, model.env)
  screen.line(`Six processes are ready after ${seconds(performance.now() - startedAt)}. Seed ${options.seed}.\n`)

  const counts = model.isScripted ? SCRIPTED_COUNTS : VENDOR_COUNTS
  const spawnedAt = performance.now()
  const sessions = await startSessions(run, nodes, () => random(counts.min, counts.max))
  const kill = await watch(run, { sessions, nodes, stores, random })
  const durationMs = performance.now() - spawnedAt
  await Promise.all(sessions.map((session) => compareWithLog(session, stores)))

  const { isScripted } = model
  const finished: Finished = { sessions, kill, killWanted: options.kill, isScripted, durationMs }
  showVerdict(screen, finished, clientsPerEdge(sessions, nodes))
  return { failures: failuresOf(finished), figures: { seed: options.seed, ...figuresOf(finished) } }
}

async function startSessions({ options, teardown }: Run, { edges }: ClusterNodes, count: () => number) {
  const urls = edges.map(({ url }) => url)
  const counts = Array.from({ length: options.sessions }, count)
  const starting = counts.map((each, index) => CountingSession.start(`${index + 1}`.padStart(3), each, urls))
  const sessions = await Promise.all(starting)
  teardown.add('the clients', () => {
    for (const session of sessions) session.close()
  })
  return sessions
}

interface Stage {
  readonly sessions: readonly CountingSession[]
  readonly nodes: ClusterNodes
  readonly stores: Stores
  readonly random: RandomInteger
}

/** Shows the sessions until all have ended, and kills a worker on the way. */
async function watch({ screen, options }: Run, stage: Stage): Promise<Kill | undefined> {
  const { sessions, nodes, stores, random } = stage
  const ended = Promise.all(sessions.map((session) => session.follow()))
  const owners = await stores.owners()
  const progress = new Progress(screen, {
    sessions,
    workerOf: ({ record, shard }) => nodeName(record.takeovers.at(-1)?.worker ?? owners.get(shard) ?? '?@'),
    edgeOf: (url) => edgeName(nodes, url),
  })
  let kill: Kill | undefined
  try {
    if (options.kill) {
      await allBegun(sessions)
      kill = await killOneWorker(sessions, nodes, stores, random)
      if (kill) progress.killed(kill)
    }
    await Promise.race([ended, sleep(END_TIMEOUT_MS, undefined, { ref: false })])
  } finally {
    progress.stop()
  }
  return kill
}

async function allBegun(sessions: readonly CountingSession[]): Promise<void> {
  const deadline = performance.now() + BEGIN_TIMEOUT_MS
  while (sessions.some(({ counted }) => counted === 0) && performance.now() < deadline) await sleep(POLL_MS)
  await sleep(KILL_AFTER_MS)
}

async function compareWithLog({ id, record }: CountingSession, stores: Stores): Promise<void> {
  const deadline = performance.now() + PROJECTION_TIMEOUT_MS
  let stored = await stores.events(id)
  while (stored.length < record.events && performance.now() < deadline) {
    await sleep(POLL_MS)
    stored = await stores.events(id)
  }
  record.compareWithLog(stored)
}

const edgeName = ({ edges }: ClusterNodes, url: string): string =>
  edges.find((edge) => url.startsWith(edge.url))?.name ?? '?'

const clientsPerEdge = (sessions: readonly CountingSession[], nodes: ClusterNodes): string =>
  nodes.edges
    .map(({ name }) => `${sessions.filter(({ url }) => edgeName(nodes, url) === name).length} on ${name}`)
    .join(', ')
