/**
 * What a worker holds for its sessions: a thousand that have done their work and wait, and two hundred that stream the text
 * of a model.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect, type SessionHandle } from '../../src/client/client.js'
import { type LoadCluster, startCluster } from '../cluster/cluster.js'
import type { Plan } from '../generator/plan.js'
import { runLoad } from '../generator/run.js'
import { residentBytes } from '../measure/processes.js'
import type { Outcome, Stage } from './scenario.js'

const ECHO_SESSIONS = 1_000
const LLM_SESSIONS = 200
/** So many sessions share a connection, as on a page that shows several. */
const SESSIONS_PER_CLIENT = 10
/** The pace of a quick vendor, in pieces of 8 characters. */
const PIECES_PER_SECOND = 20
/** Streams for some four minutes: longer than this needs. */
const TASK = 'Count to 3000'
const SETTLE_MS = 3_000
const STREAMING_MS = 10_000
const BEGIN_TIMEOUT_MS = 60_000
const POLL_MS = 100
const BYTES_PER_MB = 1_000_000
const BYTES_PER_KB = 1_000

interface Held {
  readonly sessions: number
  readonly beforeBytes: number
  readonly afterBytes: number
}

export async function sessions(stage: Stage): Promise<Outcome> {
  const model = await stage.teardown.open(
    'the scripted model',
    startScriptedModel({ tokensPerSecond: PIECES_PER_SECOND }),
  )
  const env = { OPENAI_BASE_URL: model.openaiUrl, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'scripted' }
  const cluster = await startCluster(stage.teardown, { edges: 1, workers: 1 }, env)
  stage.say('A cluster with one edge and one worker is ready.')
  await warmUp(cluster)
  const echo = await holdEcho(cluster)
  stage.say(`${echo.sessions} echo sessions: ${mb(echo.afterBytes)}`)
  const { llm, chunksPerSecond, stalled } = await holdStreaming(stage, cluster)
  return {
    summary: `One worker; ${echo.sessions} idle echo sessions, then ${llm.sessions} more that stream.`,
    versions: cluster.stores.versions,
    tables: [
      {
        head: ['sessions', 'RSS of the worker before', 'with them', 'each'],
        rows: [row('echo, idle', echo), row('llm, streaming', llm)],
      },
    ],
    notes: [`The streaming sessions brought ${Math.round(chunksPerSecond)} chunks/s to their clients.`],
    figures: { echo, llm, chunksPerSecond: Math.round(chunksPerSecond) },
    faults: stalled === 0 ? [] : [`${stalled} of ${llm.sessions} sessions did not stream all the time`],
  }
}

/** The collector gave back more of the warm-up meanwhile than these sessions took. */
const LESS_THAN_NOISE = 'less than the noise'

const mb = (bytes: number): string => `${Math.round(bytes / BYTES_PER_MB)} MB`

const row = (name: string, { sessions: count, beforeBytes, afterBytes }: Held): string[] => {
  const each = (afterBytes - beforeBytes) / count / BYTES_PER_KB
  return [`${count} ${name}`, mb(beforeBytes), mb(afterBytes), each > 0 ? `${each.toFixed(1)} KB` : LESS_THAN_NOISE]
}

/** The compiler and the heap have settled when the first thousands of commands are through. */
async function warmUp(cluster: LoadCluster): Promise<void> {
  await runLoad({ ...planOf(cluster, 20), warmupSeconds: 0, seconds: 5 }, () => {})
  await sleep(SETTLE_MS)
}

async function holdEcho(cluster: LoadCluster): Promise<Held> {
  const beforeBytes = residentOf(cluster)
  let afterBytes = 0
  // One command for each session, slowly: memory of sessions is the question, not of a peak.
  const plan = { ...planOf(cluster, ECHO_SESSIONS), rate: ECHO_SESSIONS / 10, warmupSeconds: 0, seconds: 10 }
  const report = await runLoad(plan, () => {})
  if (report.faults.length > 0) throw new Error(`the echo sessions did not all answer: ${report.faults.join('; ')}`)
  await sleep(SETTLE_MS)
  afterBytes = residentOf(cluster)
  return { sessions: ECHO_SESSIONS, beforeBytes, afterBytes }
}

const planOf = ({ targets, tokens }: LoadCluster, connections: number): Omit<Plan, 'seconds' | 'warmupSeconds'> => ({
  ...{ targets, tokens, connections, dialect: 'service' },
})

const residentOf = ({ workers }: LoadCluster): number => workers.reduce((sum, { pid }) => sum + residentBytes(pid), 0)

async function holdStreaming(stage: Stage, cluster: LoadCluster) {
  const beforeBytes = residentOf(cluster)
  const watched = await startStreaming(stage, cluster)
  await allBegun(watched)
  const chunksBefore = watched.map(({ chunks }) => chunks)
  await sleep(STREAMING_MS)
  const progress = watched.map(({ chunks }, index) => chunks - (chunksBefore[index] ?? 0))
  const llm: Held = { sessions: LLM_SESSIONS, beforeBytes, afterBytes: residentOf(cluster) }
  const chunksPerSecond = (progress.reduce((sum, each) => sum + each, 0) * 1000) / STREAMING_MS
  return { llm, chunksPerSecond, stalled: progress.filter((chunks) => chunks === 0).length }
}

interface Watched {
  chunks: number
}

async function startStreaming({ teardown }: Stage, { edges, tokens }: LoadCluster): Promise<Watched[]> {
  const watched: Watched[] = []
  for (let number = 0; number < LLM_SESSIONS / SESSIONS_PER_CLIENT; number++) {
    const edge = edges[number % edges.length]
    const token = tokens[number % tokens.length] ?? ''
    const client = await connect({ url: edge?.url ?? '', token })
    teardown.add('a client', () => client.close())
    for (let each = 0; each < SESSIONS_PER_CLIENT; each++) {
      watched.push(watch(await client.spawn({ sessionType: 'llm', orchestratorId: 'load', task: TASK })))
    }
  }
  return watched
}

function watch(session: SessionHandle): Watched {
  const watched = { chunks: 0 }
  const read = async (): Promise<void> => {
    for await (const { type } of session) if (type === 'stream_chunk') watched.chunks++
  }
  read().catch(() => {}) // A session that ends early shows as one that does not stream.
  return watched
}

async function allBegun(watched: readonly Watched[]): Promise<void> {
  const deadline = performance.now() + BEGIN_TIMEOUT_MS
  while (watched.some(({ chunks }) => chunks === 0)) {
    const silent = watched.filter(({ chunks }) => chunks === 0).length
    if (performance.now() > deadline) throw new Error(`${silent} sessions have not begun to stream after 60 s`)
    await sleep(POLL_MS)
  }
}
