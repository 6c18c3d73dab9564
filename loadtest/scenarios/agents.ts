/**
 * Sessions whose tasks a program of their own carries out: how soon the first text is there, of a new session and of one
 * whose process is warm, and what a session of each type takes while it streams.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import type { SessionType } from '../../src/protocol/session.js'
import { type LoadCluster, startCluster } from '../cluster/cluster.js'
import { type FamilyMemory, familyMemory } from '../measure/families.js'
import { residentBytes } from '../measure/processes.js'
import { median } from '../measure/tables.js'
import type { Outcome, Stage } from './scenario.js'

/** Of each kind of first text. */
const SAMPLES = 10
/** Sessions that are held at once; two cores start some three of Claude Code in a second. */
const HELD: readonly (readonly [type: SessionType, sessions: number])[] = [
  ['llm', 200],
  ['claude-code', 24],
  ['claude-flow', 12],
]
/** The pace of a quick vendor, in pieces of 8 characters. */
const PIECES_PER_SECOND = 20
const SHORT = 'Count to 5'
/** Streams for some four minutes: longer than all have begun and are measured. */
const LONG = 'Count to 3000'
const TEXT_TIMEOUT_MS = 120_000
const SETTLE_MS = 5_000
const POLL_MS = 5
const BYTES_PER_MB = 1_000_000

export async function agents(stage: Stage): Promise<Outcome> {
  const model = await stage.teardown.open(
    'the scripted model',
    startScriptedModel({ tokensPerSecond: PIECES_PER_SECOND }),
  )
  const env = {
    ...{ OPENAI_BASE_URL: model.openaiUrl, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'scripted' },
    ...{ ANTHROPIC_BASE_URL: model.anthropicUrl, ANTHROPIC_API_KEY: 'none', CLAUDE_MAX_PROCESSES: '64' },
  }
  const cluster = await startCluster(stage.teardown, { edges: 1, workers: 1 }, env)
  const client = await connect({ url: cluster.edges[0]?.url ?? '', token: cluster.tokens[0] ?? '' })
  stage.teardown.add('the client', () => client.close())
  const first: FirstText[] = []
  for (const type of ['llm', 'claude-code'] as const) {
    first.push(await firstTexts(client, type))
    stage.say(`${type}: first text of a new session after ${first.at(-1)?.fresh[0]} ms`)
  }
  const held: Held[] = []
  for (const [type, sessions] of HELD) {
    held.push(await hold(cluster, client, type, sessions))
    stage.say(`${sessions} ${type} sessions stream`)
  }
  return {
    summary:
      'One worker; first text of sessions one after the other, then many of one type that stream at the same time.',
    versions: cluster.stores.versions,
    tables: [
      { head: ['first text after', 'new session p50 · max', 'next task p50 · max'], rows: first.map(textRow) },
      {
        head: ['held at once', 'streaming', 'private each', 'PSS each', 'RSS of the worker more, each'],
        rows: held.map(heldRow),
      },
    ],
    notes: [
      'From the call of the client to the first piece of text there; the model begins at once.',
      'Private and PSS are of the processes of Claude Code, which share their program; llm sessions have none.',
    ],
    figures: { first, held },
    faults: held
      .filter(({ sessions, streaming }) => streaming < sessions)
      .map(({ type }) => `not all ${type} sessions stream`),
  }
}

interface FirstText {
  readonly type: SessionType
  readonly fresh: readonly number[]
  readonly warm: readonly number[]
}

async function firstTexts(client: Client, type: SessionType): Promise<FirstText> {
  const fresh: number[] = []
  const warm: number[] = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    const askedAt = performance.now()
    const session = await client.spawn({ sessionType: type, orchestratorId: 'load', task: SHORT })
    const watched = watch(session)
    await pieces(watched, 1)
    fresh.push(Math.round(performance.now() - askedAt))
    await session.result()
    const before = watched.count
    const againAt = performance.now()
    const done = session.execute(SHORT)
    await pieces(watched, before + 1)
    warm.push(Math.round(performance.now() - againAt))
    await done
    await session.stop()
  }
  return { type, fresh, warm }
}

interface Watched {
  count: number
}

function watch(session: SessionHandle): Watched {
  const watched = { count: 0 }
  const read = async (): Promise<void> => {
    for await (const { type } of session) if (type === 'stream_chunk') watched.count++
  }
  read().catch(() => {}) // A session that ends early shows as one without text.
  return watched
}

async function pieces(watched: Watched, wanted: number): Promise<void> {
  const deadline = performance.now() + TEXT_TIMEOUT_MS
  while (watched.count < wanted) {
    if (performance.now() > deadline) throw new Error(`a session has no text after ${TEXT_TIMEOUT_MS / 1_000} s`)
    await sleep(POLL_MS)
  }
}

interface Held {
  readonly type: SessionType
  readonly sessions: number
  readonly streaming: number
  readonly memory: FamilyMemory
  readonly workerBytes: number
}

async function hold(cluster: LoadCluster, client: Client, type: SessionType, sessions: number): Promise<Held> {
  const [worker] = cluster.workers
  const pid = worker?.pid ?? 0
  const before = residentBytes(pid)
  const handles = await Promise.all(
    Array.from({ length: sessions }, () => client.spawn({ sessionType: type, orchestratorId: 'load', task: LONG })),
  )
  const watched = handles.map(watch)
  for (const each of watched) await pieces(each, 1)
  const counts = watched.map(({ count }) => count)
  await sleep(SETTLE_MS)
  const streaming = watched.filter(({ count }, at) => count > (counts[at] ?? 0)).length
  const held = {
    type,
    sessions,
    streaming,
    memory: familyMemory(pid, 'claude'),
    workerBytes: residentBytes(pid) - before,
  }
  await Promise.all(handles.map((session) => session.stop()))
  return held
}

const textRow = ({ type, fresh, warm }: FirstText): string[] => [type, ...[fresh, warm].map(spread)]

const spread = (values: readonly number[]): string => `${median(values)} · ${Math.max(...values)} ms`

function heldRow({ type, sessions, streaming, memory, workerBytes }: Held): string[] {
  const each = (bytes: number): string => (bytes <= 0 ? '–' : `${(bytes / sessions / BYTES_PER_MB).toFixed(1)} MB`)
  const { privateBytes, proportionalBytes } = memory
  return [`${sessions} ${type}`, `${streaming}`, each(privateBytes), each(proportionalBytes), each(workerBytes)]
}
