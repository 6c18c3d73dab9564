/**
 * What a worker counts of its sessions, read off the events that it records: one meter per session, which holds its
 * series so that an event costs a few additions. An *agent* is one run of a session's task.
 */
import { Counter, type Registry } from 'prom-client'
import type { NewEvent } from '../protocol/events.js'
import { isTerminal, type Session } from '../protocol/session.js'
import { LabelLimit, MAX_MODELS, MAX_ORCHESTRATORS, MAX_TOOLS } from './label-limit.js'
import { UNKNOWN } from './message-types.js'
import type { QueueMetrics } from './queue-metrics.js'
import { type Tally, type TallyBuckets, TallyCounter, TallyHistogram } from './tally.js'
import { statusOfTool } from './tool-status.js'

export type MeteredSession = Pick<Session, 'orchestratorId' | 'type'>

/** Follows one session for as long as this worker holds it. */
export interface SessionMeter {
  /** A task waits in the session's inbox. */
  queued(): void
  /** An event is on its way to the log. Events that are read back are not counted again. */
  recorded(session: MeteredSession, event: NewEvent): void
}

/** Whose call it was: `openai` or `anthropic`. */
export type ProviderOf = (model: string) => string

type TaskEnd = Extract<NewEvent, { type: 'task_completed' | 'task_failed' | 'task_cancelled' }>
type MessageEnd = Extract<NewEvent, { type: 'stream_end' }>
type Compacted = Extract<NewEvent, { type: 'context_compacted' }>
type ToolResult = Extract<NewEvent, { type: 'tool_call_result' }>
type StatusUpdate = Extract<NewEvent, { type: 'session_status_update' }>

const RUN_BOUNDS_S = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900]
const LATENCY_BOUNDS_S = [0.1, 0.5, 1, 2, 5, 10]
/** Sessions live from one short task to days. */
const SESSION_BOUNDS_S = [1, 10, 60, 300, 900, 3_600, 14_400, 86_400]
const MS_PER_SECOND = 1_000

export function sessionMetrics(registry: Registry, inboxes: QueueMetrics, providerOf: ProviderOf): () => SessionMeter {
  const families = familiesOf(registry)
  const limit = new LabelLimit(MAX_ORCHESTRATORS)
  const groups = new Map<string, Group>()
  const groupOf = ({ orchestratorId, type }: MeteredSession): Group => {
    const orchestrator_id = limit.of(orchestratorId)
    const key = `${type} ${orchestrator_id}`
    const group = groups.get(key) ?? new Group(families, { orchestrator_id, session_type: type }, providerOf)
    groups.set(key, group)
    return group
  }
  return () => new Meter(groupOf, inboxes)
}

class Meter implements SessionMeter {
  readonly #groupOf: (session: MeteredSession) => Group
  readonly #inboxes: QueueMetrics
  #group: Group | undefined
  /** The task that runs: the end of another one is that of a task which never began. */
  #taskId: string | undefined
  #model = UNKNOWN

  constructor(groupOf: (session: MeteredSession) => Group, inboxes: QueueMetrics) {
    this.#groupOf = groupOf
    this.#inboxes = inboxes
  }

  queued(): void {
    this.#inboxes.enqueued()
  }

  recorded(session: MeteredSession, event: NewEvent): void {
    this.#group ??= this.#groupOf(session)
    const group = this.#group
    switch (event.type) {
      case 'task_executing':
        this.#taskId = event.taskId
        group.spawned.count += 1
        return
      case 'session_takeover':
        this.#taskId = event.taskId
        return
      case 'stream_start':
        this.#model = event.metadata.model
        return
      case 'stream_end':
        group.messageEnded(this.#model, event)
        return
      case 'tool_call_result':
        group.toolEnded(event)
        return
      case 'context_compacted':
        group.compacted(event)
        return
      case 'task_completed':
      case 'task_failed':
      case 'task_cancelled':
        this.#taskEnded(group, event)
        return
      case 'session_status_update':
        group.statusChanged(event)
    }
  }

  #taskEnded(group: Group, event: TaskEnd): void {
    if (event.taskId !== this.#taskId) {
      this.#inboxes.dropped('cancelled')
      return
    }
    this.#taskId = undefined
    const seconds = event.usage.duration / MS_PER_SECOND
    this.#inboxes.dequeued(seconds)
    group.runEnded(event, seconds)
  }
}

type Families = ReturnType<typeof familiesOf>

/** The series of one orchestrator's sessions of one type. */
class Group {
  readonly spawned: Tally
  readonly #completed: Tally
  readonly #cancelled: Tally
  readonly #durations: TallyBuckets
  readonly #latencies: TallyBuckets

  constructor(
    private readonly families: Families,
    private readonly labels: { readonly orchestrator_id: string; readonly session_type: string },
    private readonly providerOf: ProviderOf,
  ) {
    const { orchestrator_id } = labels
    this.spawned = families.spawned.child(labels)
    this.#completed = families.completed.child({ ...labels, exit_reason: 'completed' })
    this.#cancelled = families.completed.child({ ...labels, exit_reason: 'cancelled' })
    this.#durations = families.durations.child(labels)
    this.#latencies = families.latencies.child({ orchestrator_id })
  }

  runEnded(event: TaskEnd, seconds: number): void {
    this.#durations.observe(seconds)
    this.#latencies.observe(seconds)
    if (event.type === 'task_completed') this.#completed.count += 1
    else if (event.type === 'task_cancelled') this.#cancelled.count += 1
    else this.#failed(event.code)
  }

  compacted({ metadata }: Compacted): void {
    this.families.compactions.inc({ tier: 'scratchpad', strategy: 'summarize-and-archive' })
    this.#spent(metadata.model, metadata)
  }

  messageEnded(name: string, { metadata }: MessageEnd): void {
    this.#spent(name, metadata)
    this.families.iterations.inc({ orchestrator_id: this.labels.orchestrator_id })
  }

  #spent(name: string, metadata: MessageEnd['metadata']): void {
    const { orchestrator_id } = this.labels
    const model = this.families.models.of(name)
    const labels = { orchestrator_id, model }
    const { promptTokens, completionTokens, cost } = metadata
    this.families.tokens.inc(labels, promptTokens + completionTokens)
    this.families.promptTokens.inc(labels, promptTokens)
    this.families.completionTokens.inc(labels, completionTokens)
    this.families.cost.inc({ ...labels, provider: this.providerOf(name) }, cost)
  }

  toolEnded({ data }: ToolResult): void {
    const tool_name = this.families.tools.of(data.toolName)
    const status = statusOfTool(data)
    this.families.toolCalls.inc({ orchestrator_id: this.labels.orchestrator_id, tool_name, status })
  }

  statusChanged({ session }: StatusUpdate): void {
    if (!isTerminal(session.status) || session.endedAt === undefined) return
    const livedMs = Date.parse(session.endedAt) - Date.parse(session.startedAt)
    this.families.lives.child(this.labels).observe(Math.max(0, livedMs) / MS_PER_SECOND)
  }

  #failed(code: string): void {
    const { orchestrator_id } = this.labels
    this.families.failed.inc({ ...this.labels, error_type: code })
    this.families.errors.inc({ orchestrator_id, error_type: code })
  }
}

function familiesOf(registry: Registry) {
  const tally = (name: string, help: string) => new TallyCounter({ name, help, registry })
  const spread = (name: string, help: string, bounds: readonly number[]) =>
    new TallyHistogram({ name, help, bounds, registry })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const byModel = ['orchestrator_id', 'model']
  const byType = ['orchestrator_id', 'session_type']
  const byTool = ['orchestrator_id', 'tool_name', 'status']
  const byError = ['orchestrator_id', 'error_type']
  return {
    models: new LabelLimit(MAX_MODELS),
    tools: new LabelLimit(MAX_TOOLS),
    spawned: tally('wundr_agent_spawned_total', 'Tasks that a session began to work on'),
    completed: tally('wundr_agent_completed_total', 'Tasks that ended without a failure'),
    failed: counter('wundr_agent_failed_total', 'Tasks that failed', [...byType, 'error_type']),
    durations: spread('wundr_agent_duration_seconds', 'Time that a task took', RUN_BOUNDS_S),
    latencies: spread('orchestrator_message_latency_seconds', 'From the start of a task to its end', LATENCY_BOUNDS_S),
    lives: spread('wundr_session_duration_seconds', 'Lives of ended sessions', SESSION_BOUNDS_S),
    // What a session works with is its scratchpad; what is summed up stays in the log and in episodic memory.
    compactions: counter('wundr_memory_compaction_total', 'Conversations whose beginning was summed up', [
      'tier',
      'strategy',
    ]),
    iterations: counter('wundr_session_iterations_total', 'Messages that models ended for sessions', [
      'orchestrator_id',
    ]),
    tokens: counter('orchestrator_tokens_used_total', 'Tokens that sessions used', byModel),
    promptTokens: counter('wundr_session_tokens_prompt_total', 'Tokens that models read', byModel),
    completionTokens: counter('wundr_session_tokens_completion_total', 'Tokens that models wrote', byModel),
    cost: counter('wundr_session_cost_dollars_total', 'Cost of model calls', [...byModel, 'provider']),
    toolCalls: counter('orchestrator_tool_invocations_total', 'Tool calls that ended', byTool),
    errors: counter('orchestrator_errors_total', 'Failed tasks by the code of the failure', byError),
  }
}
