/**
 * The table that the published daemon's README shows, measured: memory, processor, start and stop of the single process and
 * of each role, at rest and while a hundred sessions stream. What other scenarios measure better is named, not repeated.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import { Nodes, startCluster } from '../cluster/cluster.js'
import { type StampingModel, startStampingModel } from '../cluster/stamping-model.js'
import { cpuTimes, type Members, residentByName } from '../measure/processes.js'
import type { Outcome, Stage, Table } from './scenario.js'

const SESSIONS = 100
/** So many sessions share a connection, as on a page that shows several. */
const SESSIONS_PER_CLIENT = 10
const PIECES_PER_SECOND = 20
/** Longer than the measured time. */
const TASK = 'Stream 1200'
const SETTLE_MS = 5_000
const MEASURED_MS = 10_000
const BYTES_PER_MB = 1_000_000
const US_PER_MS = 1_000

interface Reading {
  /** Of one core, in percent, by process. */
  readonly cpu: Readonly<Record<string, number>>
  readonly mb: Readonly<Record<string, number>>
}

interface Measured {
  readonly idle: Reading
  readonly busy: Reading
  readonly readyMs: number
  readonly stopMs: number
}

export async function publishedTable(stage: Stage): Promise<Outcome> {
  const model = await stage.teardown.open('the model', startStampingModel(PIECES_PER_SECOND))
  const env = modelSettings(model)
  const alone = await measureAlone(stage, env)
  stage.say('The single process is measured.')
  const { measured: cluster, versions } = await measureRoles(stage, env)
  return {
    summary: `The published daemon's table (4 cores, 8 GB there; the machine below here) beside the same measured: idle, and with ${SESSIONS} sessions that stream ${PIECES_PER_SECOND} pieces/s each.`,
    versions,
    tables: [comparison(alone, cluster)],
    notes: [
      'Processor in percent of one core. The single process holds its database too (PGlite); a cluster’s Redis and PostgreSQL are not counted.',
      'Sessions at a time: section sessions; connections: idle and storm; messages: 10k, each command and each answer is one.',
    ],
    figures: { alone, cluster },
    faults: [],
  }
}

const modelSettings = ({ url }: StampingModel) => ({
  ...{ OPENAI_BASE_URL: url, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'stamping' },
  DAEMON_MAX_SESSIONS: String(SESSIONS),
})

async function measureAlone({ teardown }: Stage, env: Readonly<Record<string, string>>): Promise<Measured> {
  // Without a secret it serves this machine alone; the first start makes the database, and is not what is measured.
  const nodes = new Nodes(teardown, { ...env, DATA_DIR: '../data', DAEMON_RATE_LIMIT_MAX: '1000000' })
  const first = nodes.start('all', 'first')
  await first.ready()
  await first.stop()
  const startedAt = performance.now()
  const node = nodes.start('all', 'alone')
  await node.ready()
  const readyMs = Math.round(performance.now() - startedAt)
  const members = { 'one process': [node.pid] }
  const idle = await read(members)
  const clients = await startStreaming(node.url, [''])
  const busy = await read(members)
  for (const client of clients) client.close()
  return { idle, busy, readyMs, stopMs: await timed(() => node.stop()) }
}

async function measureRoles({ teardown }: Stage, env: Readonly<Record<string, string>>) {
  const cluster = await startCluster(teardown, { edges: 1, workers: 1 }, env)
  const { edge = [], worker = [], coordinator = [] } = cluster.members
  const members = { edge, worker, coordinator }
  const idle = await read(members)
  const [url = ''] = cluster.edges.map((each) => each.url)
  const clients = await startStreaming(url, cluster.tokens)
  const busy = await read(members)
  for (const client of clients) client.close()
  const stopMs = await timed(async () => cluster.edges[0]?.stop())
  return { measured: { idle, busy, stopMs }, versions: cluster.stores.versions }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return Math.round(performance.now() - startedAt)
}

async function read(members: Members): Promise<Reading> {
  await sleep(SETTLE_MS)
  const [before, startedAt] = [cpuTimes(members), performance.now()]
  await sleep(MEASURED_MS)
  const after = cpuTimes(members)
  const us = (performance.now() - startedAt) * US_PER_MS
  const percent = (name: string): number => (100 * ((after[name] ?? 0) - (before[name] ?? 0))) / us
  const bytes = residentByName(members)
  return {
    cpu: Object.fromEntries(Object.keys(members).map((name) => [name, percent(name)])),
    mb: Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, Math.round(value / BYTES_PER_MB)])),
  }
}

async function startStreaming(url: string, tokens: readonly string[]): Promise<Client[]> {
  const clients: Client[] = []
  for (let number = 0; number < SESSIONS / SESSIONS_PER_CLIENT; number++) {
    const token = tokens[number % tokens.length] ?? ''
    const client = await connect({ url, ...(token !== '' && { token }) })
    clients.push(client)
    for (let each = 0; each < SESSIONS_PER_CLIENT; each++) {
      drain(await client.spawn({ sessionType: 'llm', orchestratorId: 'load', task: TASK }))
    }
  }
  return clients
}

/** Somebody reads what streams. */
function drain(session: SessionHandle): void {
  const readAll = async (): Promise<void> => {
    for await (const _ of session);
  }
  readAll().catch(() => {}) // It ends with its client.
}

type Roles = Omit<Measured, 'readyMs'>

function comparison(alone: Measured, roles: Roles): Table {
  const each = (reading: Reading, of: 'cpu' | 'mb'): string =>
    Object.entries(reading[of])
      .map(([name, value]) => `${name} ${value.toFixed(of === 'cpu' ? 1 : 0)}`)
      .join(' · ')
  const row = (what: string, published: string, of: 'cpu' | 'mb', when: 'idle' | 'busy'): string[] => [
    ...[what, published, each(alone[when], of), each(roles[when], of)],
  ]
  return {
    head: ['', 'published', 'single process', 'cluster, each role'],
    rows: [
      row('memory, idle, in MB', '~256 MB', 'mb', 'idle'),
      row(`memory, ${SESSIONS} sessions, in MB`, '~2 GB', 'mb', 'busy'),
      row('processor, idle, in %', '~5 %', 'cpu', 'idle'),
      row(`processor, ${SESSIONS} sessions, in %`, '~40 %', 'cpu', 'busy'),
      ['start', '~2 s', `${alone.readyMs} ms`, 'section idle'],
      ['stop', '~5 s', `${alone.stopMs} ms`, `edge ${roles.stopMs} ms`],
    ],
  }
}
