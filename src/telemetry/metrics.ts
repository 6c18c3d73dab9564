/**
 * Everything this process counts, behind methods that name the occasion; the names of the families stand only here.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface EdgeMetrics {
  connections(change: 1 | -1): void
  received(messageType?: string): void
  sent(frames: number, messageType?: string): void
  /** A command was accepted by its worker. */
  accepted(): void
  /** A command was refused because too much work was waiting. */
  busy(): void
}

export type CommitOutcome = 'ok' | 'dup' | 'fenced' | 'head' | 'rollback' | 'corrupt'
export type TurnOutcome = 'completed' | 'failed' | 'cancelled' | 'quarantined'

export interface WorkerMetrics {
  /** Sessions with work or a live process. */
  activeSessions(count: number): void
  commit(outcome: CommitOutcome): void
  /** An unfinished turn of a lost owner was taken over, so long after that owner's last sign of life. */
  takeover(seconds: number): void
  turnEnded(outcome: TurnOutcome, seconds: number): void
}

export interface ModelCall {
  readonly provider: string
  readonly model: string
  readonly seconds: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly costDollars: number
  /** Code of the failure, when it failed. */
  readonly error?: string
}

export interface Metrics {
  readonly edge: EdgeMetrics
  readonly worker: WorkerMetrics
  modelCall(call: ModelCall): void
  /** The page that Prometheus reads, and its content type. */
  page(): Promise<{ readonly type: string; readonly body: string }>
}

/** From a fast tool-less answer to the longest turn that is not suspicious. */
const TURN_BUCKETS_S = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900]
/** The published bounds of a takeover are 4 s after a crash and 10 s after a hang. */
const TAKEOVER_BUCKETS_S = [0.5, 1, 2, 3, 4, 6, 8, 10, 20, 60]
const MODEL_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

/** Counts into a registry of its own, so that two services in one process do not mix. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return {
    edge: edgeMetrics(registry),
    worker: workerMetrics(registry),
    modelCall: modelMetrics(registry),
    page: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  }
}

function edgeMetrics(registry: Registry): EdgeMetrics {
  const registers = [registry]
  const connections = new Gauge({ name: 'wundr_ws_connections_active', help: 'Open client connections', registers })
  const received = new Counter({
    name: 'wundr_ws_messages_received_total',
    help: 'Messages that clients sent',
    labelNames: ['message_type'],
    registers,
  })
  const sent = new Counter({
    name: 'wundr_ws_messages_sent_total',
    help: 'Messages sent to clients',
    labelNames: ['message_type'],
    registers,
  })
  const commands = new Counter({
    name: 'orchestrator_commands_total',
    help: 'Commands by what became of them at the door',
    labelNames: ['outcome'],
    registers,
  })
  return {
    connections: (change) => connections.inc(change),
    received: (messageType = 'any') => received.inc({ message_type: messageType }),
    sent: (frames, messageType = 'any') => sent.inc({ message_type: messageType }, frames),
    accepted: () => commands.inc({ outcome: 'accepted' }),
    busy: () => commands.inc({ outcome: 'busy' }),
  }
}

function workerMetrics(registry: Registry): WorkerMetrics {
  const registers = [registry]
  const sessions = new Gauge({ name: 'orchestrator_sessions_active', help: 'Sessions with work', registers })
  const commits = new Counter({
    name: 'orchestrator_commits_total',
    help: 'Commits to session logs by outcome',
    labelNames: ['outcome'],
    registers,
  })
  const takeovers = new Histogram({
    name: 'orchestrator_takeover_seconds',
    help: 'From the last sign of life of a lost owner until its turn goes on elsewhere',
    buckets: TAKEOVER_BUCKETS_S,
    registers,
  })
  const turns = new Histogram({
    name: 'orchestrator_turn_seconds',
    help: 'Duration of turns by outcome',
    labelNames: ['outcome'],
    buckets: TURN_BUCKETS_S,
    registers,
  })
  return {
    activeSessions: (count) => sessions.set(count),
    commit: (outcome) => commits.inc({ outcome }),
    takeover: (seconds) => takeovers.observe(seconds),
    turnEnded: (outcome, seconds) => turns.observe({ outcome }, seconds),
  }
}

function modelMetrics(registry: Registry): (call: ModelCall) => void {
  const registers = [registry]
  const labelNames = ['provider', 'model']
  const requests = new Counter({ name: 'wundr_model_requests_total', help: 'Model calls', labelNames, registers })
  const durations = new Histogram({
    name: 'wundr_model_request_duration_seconds',
    help: 'Duration of model calls',
    labelNames,
    buckets: MODEL_BUCKETS_S,
    registers,
  })
  const tokens = new Counter({
    name: 'wundr_model_request_tokens_total',
    help: 'Tokens read and written by models',
    labelNames: [...labelNames, 'token_type'],
    registers,
  })
  const cost = new Counter({
    name: 'wundr_model_cost_dollars_total',
    help: 'Cost of model calls',
    labelNames,
    registers,
  })
  const errors = new Counter({
    name: 'wundr_model_errors_total',
    help: 'Failed model calls',
    labelNames: [...labelNames, 'error_type'],
    registers,
  })
  return ({ provider, model, ...call }) => {
    const labels = { provider, model }
    requests.inc(labels)
    durations.observe(labels, call.seconds)
    tokens.inc({ ...labels, token_type: 'prompt' }, call.promptTokens)
    tokens.inc({ ...labels, token_type: 'completion' }, call.completionTokens)
    cost.inc(labels, call.costDollars)
    if (call.error !== undefined) errors.inc({ ...labels, error_type: call.error })
  }
}
