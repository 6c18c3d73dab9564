/**
 * What a worker counts: its sessions, their turns, its writes, and what waits.
 */
import { Gauge, Histogram, type Registry } from 'prom-client'
import { type GovernanceMetrics, governanceMetrics } from './governance-metrics.js'
import { LabelLimit, MAX_ORCHESTRATORS } from './label-limit.js'
import type { Queues } from './queue-metrics.js'
import { type MeteredSession, type ProviderOf, type SessionMeter, sessionMetrics } from './session-metrics.js'
import { type Tally, type TallyBuckets, TallyCounter, TallyHistogram } from './tally.js'

export type CommitOutcome = 'ok' | 'dup' | 'fenced' | 'head' | 'rollback' | 'corrupt'
export type TurnOutcome = 'completed' | 'failed' | 'cancelled' | 'quarantined'

/** A session with work; `isRunning` while its turn is under way. */
export interface BusySession extends MeteredSession {
  readonly isRunning: boolean
}

/** What a worker is asked when the page is read. */
export interface WorkerNow {
  readonly sessions: () => Iterable<BusySession>
  /** Commands in inboxes. */
  readonly queued: () => number
  /** Turns that wait for a slot. */
  readonly waitingTurns: () => number
  /** Sessions with work as a share of those it may have. */
  readonly load: () => number
  /** Shards that it owns. */
  readonly shards: () => number
  /** Events that Postgres does not have yet. */
  readonly unprojected: () => number
  /** For how long text is gathered now. */
  readonly flushIntervalMs: () => number
}

export interface WorkerMetrics extends GovernanceMetrics {
  commit(outcome: CommitOutcome): void
  /** Text was kept so long after it was due. */
  flushed(lateSeconds: number): void
  /** An unfinished turn of a lost owner was taken over, so long after that owner's last sign of life. */
  takeover(seconds: number): void
  turnEnded(outcome: TurnOutcome, seconds: number): void
  /** A turn got its slot after so long. */
  turnBegan(waitedSeconds: number): void
  openMeter(): SessionMeter
  watch(now: WorkerNow): void
}

/** From a fast tool-less answer to the longest turn that is not suspicious. */
const TURN_BOUNDS_S = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900]
/** Around what streamed text may be late: 3 ms at p50, 15 ms at p99. */
const FLUSH_BOUNDS_S = [0.001, 0.002, 0.003, 0.006, 0.01, 0.015, 0.025, 0.05, 0.1, 0.5]
const MS_PER_SECOND = 1_000
/** The published bounds of a takeover are 4 s after a crash and 10 s after a hang. */
const TAKEOVER_BUCKETS_S = [0.5, 1, 2, 3, 4, 6, 8, 10, 20, 60]

/** `node` is the label of this process where it is one among many. */
export function workerMetrics(registry: Registry, queues: Queues, providerOf: ProviderOf, node: string): WorkerMetrics {
  const turns = queues('turns')
  return {
    ...turnMetrics(registry),
    ...governanceMetrics(registry),
    turnBegan: (seconds) => {
      turns.enqueued()
      turns.dequeued(seconds)
    },
    openMeter: sessionMetrics(registry, queues('inboxes'), providerOf),
    watch: watched(registry, queues, node),
  }
}

function turnMetrics(registry: Registry): Pick<WorkerMetrics, 'commit' | 'flushed' | 'takeover' | 'turnEnded'> {
  const commits = new TallyCounter({
    name: 'orchestrator_commits_total',
    help: 'Commits to session logs by outcome',
    registry,
  })
  const flushes = new TallyHistogram({
    name: 'orchestrator_text_flush_seconds',
    help: 'How late streamed text is kept: from when it was due until the store has it',
    bounds: FLUSH_BOUNDS_S,
    registry,
  }).child({})
  const takeovers = new Histogram({
    name: 'orchestrator_takeover_seconds',
    help: 'From the last sign of life of a lost owner until its turn goes on elsewhere',
    buckets: TAKEOVER_BUCKETS_S,
    registers: [registry],
  })
  const turns = new TallyHistogram({
    name: 'orchestrator_turn_seconds',
    help: 'Duration of turns by outcome',
    bounds: TURN_BOUNDS_S,
    registry,
  })
  const commit = kept<CommitOutcome, Tally>((outcome) => commits.child({ outcome }))
  const turn = kept<TurnOutcome, TallyBuckets>((outcome) => turns.child({ outcome }))
  return {
    commit: (outcome) => {
      commit(outcome).count += 1
    },
    flushed: (lateSeconds) => flushes.observe(lateSeconds),
    takeover: (seconds) => takeovers.observe(seconds),
    turnEnded: (outcome, seconds) => turn(outcome).observe(seconds),
  }
}

/** Remembers what `make` made for each of a few names. */
function kept<Name extends string, Value>(make: (name: Name) => Value): (name: Name) => Value {
  const made = new Map<Name, Value>()
  return (name) => {
    const value = made.get(name) ?? make(name)
    made.set(name, value)
    return value
  }
}

function watched(registry: Registry, queues: Queues, node: string): WorkerMetrics['watch'] {
  let now: WorkerNow | undefined
  const limit = new LabelLimit(MAX_ORCHESTRATORS)
  const byType = ['orchestrator_id', 'session_type'] as const
  const sessionGauge = (name: string, help: string, counts: (session: BusySession) => boolean) => {
    const seen = new Map<string, { readonly orchestrator_id: string; readonly session_type: string }>()
    new Gauge({
      ...{ name, help, labelNames: byType, registers: [registry] },
      collect() {
        // Zero rather than absent: a series that has been seen goes on until the process ends.
        for (const labels of seen.values()) this.set(labels, 0)
        for (const session of now?.sessions() ?? []) {
          if (!counts(session)) continue
          const labels = { orchestrator_id: limit.of(session.orchestratorId), session_type: session.type }
          seen.set(`${labels.session_type} ${labels.orchestrator_id}`, labels)
          this.inc(labels)
        }
      },
    })
  }
  sessionGauge('orchestrator_sessions_active', 'Sessions with work', () => true)
  sessionGauge('wundr_agent_running', 'Tasks that are worked on now', ({ isRunning }) => isRunning)
  new Gauge({
    name: 'orchestrator_node_load',
    help: 'Sessions with work as a share of those that this node may have',
    labelNames: ['node_id'],
    registers: [registry],
    collect() {
      this.set({ node_id: node }, now?.load() ?? 0)
    },
  })
  const gauge = (name: string, help: string, read: (source: WorkerNow) => number) =>
    new Gauge({
      ...{ name, help, registers: [registry] },
      collect() {
        this.set(now ? read(now) : 0)
      },
    })
  gauge('orchestrator_shards_owned', 'Shards that this worker owns', (source) => source.shards())
  gauge('orchestrator_unprojected_events', 'Events that Postgres does not have yet', (source) => source.unprojected())
  gauge(
    'orchestrator_text_flush_interval_seconds',
    'For how long streamed text is gathered: 20 ms, and up to 100 ms under load',
    (source) => source.flushIntervalMs() / MS_PER_SECOND,
  )
  return (source) => {
    now = source
    queues('inboxes').watch(source.queued)
    queues('turns').watch(source.waitingTurns)
  }
}
