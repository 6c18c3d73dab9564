/**
 * What a session costs Redis and the heap of its worker: while it has just done its work, when it has been idle for a minute, and when it rests in
 * PostgreSQL alone. Nothing of any session may be left then.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import type { ServiceProcess } from '../../src/chaos/service-process.js'
import { type LoadCluster, startCluster } from '../cluster/cluster.js'
import { runLoad } from '../generator/run.js'
import { HeapReader } from '../measure/heap.js'
import type { Outcome, Stage } from './scenario.js'

const SESSIONS = 1_000
/** The time in which each does one command. */
const WORK_SECONDS = 20
/** A worker lets go of a session after 60 s and of its log a second later, looking every 5 s. */
const IDLE_MS = 70_000
/** So long that all are idle before the first rests, from its last command on. */
const HIBERNATE_AFTER_MS = 130_000
const REST_TIMEOUT_MS = 240_000
const POLL_MS = 1_000
const KEYS_PER_SCAN = 500
const TRIES = 10
const BYTES_PER_MB = 1_000_000

export async function rest(stage: Stage): Promise<Outcome> {
  const heap = new HeapReader()
  const env = { SESSION_HIBERNATE_AFTER: String(HIBERNATE_AFTER_MS), ...heap.env }
  const cluster = await startCluster(stage.teardown, { edges: 1, workers: 1 }, env, (line) => heap.read(line))
  const heapBytes = (): Promise<number> => heap.bytesOf(cluster.workers[0] as ServiceProcess)
  await work(cluster)
  const worked = await patiently(() => heldBySessions(cluster.stores.redisUrl))
  const heapWorked = await heapBytes()
  stage.say(`${SESSIONS} sessions have done their work: ${perSession(worked.bytes)} bytes of Redis each`)
  await sleep(IDLE_MS)
  const idle = await patiently(() => heldBySessions(cluster.stores.redisUrl))
  const heapIdle = await heapBytes()
  stage.say(`idle: ${perSession(idle.bytes)} bytes of Redis each`)
  const left = await heldAtRest(cluster)
  const heapLeft = await heapBytes()
  return {
    summary: `Redis, the heap of one worker, and ${SESSIONS} echo sessions that did one command each and that nobody watches.`,
    versions: cluster.stores.versions,
    tables: [
      {
        head: ['the session', 'bytes of Redis each', 'keys each', 'bytes of heap each'],
        rows: [
          row('has just worked', worked, heapWorked - heapLeft),
          row('has been idle for a minute', idle, heapIdle - heapLeft),
          row('rests', left, 0),
        ],
      },
    ],
    notes: [
      'Bytes of its keys, as MEMORY USAGE says; what a shard and an edge take is not counted.',
      `Bytes of heap: what the worker had, after two collections, beyond the ${(heapLeft / BYTES_PER_MB).toFixed(1)} MB that were left when all rested.`,
    ],
    figures: { sessions: SESSIONS, worked, idle, left, heapWorked, heapIdle, heapLeft },
    faults:
      left.keys === 0 ? [] : [`${left.keys} keys of sessions are left ${REST_TIMEOUT_MS / 1_000} s after their work`],
  }
}

const row = (name: string, held: Held, heapBytes: number): string[] => [
  name,
  perSession(held.bytes),
  (held.keys / SESSIONS).toFixed(1),
  perSession(heapBytes),
]

const perSession = (bytes: number): string => `${Math.round(bytes / SESSIONS)}`

async function work({ targets, tokens }: LoadCluster): Promise<void> {
  const rate = SESSIONS / WORK_SECONDS
  const plan = { targets, tokens, connections: SESSIONS, dialect: 'service' as const, rate }
  const report = await runLoad({ ...plan, warmupSeconds: 0, seconds: WORK_SECONDS }, () => {})
  if (report.faults.length > 0) throw new Error(`the sessions did not all answer: ${report.faults.join('; ')}`)
}

/** What sessions hold when that is nothing any more, or when the time is over. */
async function heldAtRest({ stores }: LoadCluster): Promise<Held> {
  const deadline = performance.now() + REST_TIMEOUT_MS
  for (;;) {
    const held = await patiently(() => heldBySessions(stores.redisUrl))
    if (held.keys === 0 || performance.now() > deadline) return held
    await sleep(POLL_MS)
  }
}

/** A server of a busy machine may take longer than the second that an answer is waited for. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await ask()
    } catch (error) {
      if (left === 1) throw error
      await sleep(POLL_MS)
    }
  }
}

interface Held {
  readonly keys: number
  readonly bytes: number
}

/** What keys of sessions take, as Redis itself says. */
const heldBySessions = (url: string): Promise<Held> =>
  withRedis(url, async (redis) => {
    let held: Held = { keys: 0, bytes: 0 }
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', '*session_*', 'COUNT', KEYS_PER_SCAN)
      cursor = next
      const sizes = await Promise.all(keys.map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)))
      const bytes = sizes.reduce<number>((sum, size) => sum + Number(size ?? 0), 0)
      held = { keys: held.keys + keys.length, bytes: held.bytes + bytes }
    } while (cursor !== '0')
    return held
  })
