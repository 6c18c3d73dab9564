/**
 * What a session's log tells the next step: the messages so far and where the running turn stands. The same fold runs
 * while the worker records events and when another worker reads them back, so both go on from the same point.
 */
import type { Part } from '../bus/bus.js'
import type { ModelMessage, ToolRequest } from '../models/model.js'
import type {
  ContextCompacted,
  LoggedEvent,
  NewEvent,
  SessionTakeover,
  StreamEnd,
  StreamStart,
  ToolCallResult,
  ToolCallStart,
} from '../protocol/events.js'
import type { Task, TaskUsage } from '../protocol/session.js'
import { compactedItems } from '../runtimes/compacted.js'
import { recalledTask, summaryOf, taskPrompt, toolMessage } from '../runtimes/prompt.js'
import type { EffectClass, Progress, ToolOutcome } from '../runtimes/runtime.js'
import type { Lookback } from './lookback.js'

type OpenCall = ToolRequest & { started: boolean; effect?: EffectClass }

/** A turn that has begun and not ended. */
export interface OpenTurn {
  readonly task: Task
  readonly turn: number
  readonly startedAt: number
  /** Where it stands in a trace: of its last owner's part. */
  traceparent: string | undefined
  /** Model calls finished. */
  steps: number
  /** Takeovers after a crash since the last step that finished. */
  attempts: number
  openMessage: { readonly messageId: string; readonly agent?: string } | undefined
  /** Tool calls without a result, by call id. */
  readonly openCalls: Map<string, OpenCall>
  /** Approvals that this turn has asked for, and how far each is. */
  readonly approvals: Map<string, 'asked' | 'resolved'>
  /** Memory was asked for this task, and its message says what was found. */
  recalled: boolean
  promptTokens: number
  completionTokens: number
  cost: number
}

/** A message and the step that brought it (`task:<turn>`, `message:<id>`, `call:<id>`); a summary has none. */
interface Said {
  readonly message: ModelMessage
  readonly step: string | undefined
}

export class Conversation {
  #said: Said[] = []
  #open: OpenTurn | undefined

  /** Messages that the session's runtime never looks back at are not kept. */
  constructor(private readonly lookback: () => Lookback) {}

  /** The turn that runs, or that a former owner left unfinished. */
  get open(): OpenTurn | undefined {
    return this.#open
  }

  /** Takes in the next event of the log. */
  apply(event: NewEvent | LoggedEvent): void {
    switch (event.type) {
      case 'task_executing':
        if (this.lookback() === 'task') this.#said = []
        this.#open = beginTurn(event.task, event.turn, Date.parse(event.timestamp))
        this.#open.traceparent = event.traceparent
        this.#say({ role: 'user', text: taskPrompt(event.task, event.context) }, `task:${event.turn}`, undefined)
        break
      case 'stream_start':
        if (this.#open) this.#open.openMessage = openMessageOf(event)
        break
      case 'stream_end':
        this.#endMessage(event)
        break
      case 'tool_call_start':
        this.#startCall(event.data)
        break
      case 'tool_call_result':
        this.#endCall(event.data, event.agent)
        break
      case 'approval_request':
        this.#open?.approvals.set(event.approvalId, 'asked')
        break
      case 'approval_resolved':
        this.#open?.approvals.set(event.approvalId, 'resolved')
        break
      case 'context_compacted':
        this.#compact(event)
        break
      case 'memory_recalled':
        this.#recall(event.text)
        break
      case 'session_takeover':
        this.#takenOver(event)
        break
      case 'task_completed':
      case 'task_failed':
      case 'task_cancelled':
        this.#endTurn(event.taskId)
        break
      default:
        break
    }
  }

  /** Where the runtime goes on. `part` is the text of the open message, if any was written. */
  progress(part: Part | undefined): Progress {
    const open = this.#open
    const message = open?.openMessage
    const text = part?.messageId === message?.messageId ? (part?.text ?? '') : ''
    return {
      messages: this.#said.map(({ message }) => message),
      openMessage: message && { ...message, text },
      openCalls: [...(open?.openCalls.values() ?? [])],
      steps: open?.steps ?? 0,
      recalled: open?.recalled ?? false,
    }
  }

  /** Names of the steps that brought these messages; numbers that are none, and summaries, bring none. */
  stepsOf(messages: readonly number[]): readonly string[] {
    return [...new Set(messages.flatMap((number) => this.#said[number]?.step ?? []))]
  }

  usage(now: number): TaskUsage {
    const { promptTokens = 0, completionTokens = 0, cost = 0, startedAt = now } = this.#open ?? {}
    return { promptTokens, completionTokens, cost, duration: Math.max(0, now - startedAt) }
  }

  /** What an agent of the session says and does stays its own: the session hears of it in its answer. */
  #say(message: ModelMessage, step: string, agent: string | undefined): void {
    if (agent === undefined && this.lookback() !== 'nothing') this.#said.push({ message, step })
  }

  #endMessage(event: Omit<StreamEnd, 'eventId'>): void {
    const toolCalls = event.toolCalls.map((call) => ({ ...call, input: call.input as ToolRequest['input'] }))
    const message = { role: 'assistant', text: event.text, ...(toolCalls.length > 0 && { toolCalls }) } as const
    this.#say(message, `message:${event.messageId}`, event.agent)
    const open = this.#open
    if (!open) return
    open.openMessage = undefined
    open.steps += 1
    open.attempts = 0
    open.promptTokens += event.metadata.promptTokens
    open.completionTokens += event.metadata.completionTokens
    open.cost += event.metadata.cost
    for (const call of toolCalls) open.openCalls.set(call.callId, { ...call, started: false })
  }

  #startCall({ callId, effect }: ToolCallStart['data']): void {
    const call = this.#open?.openCalls.get(callId)
    if (!call) return
    call.started = true
    call.effect = effect
  }

  #endCall({ callId, status, result, error, note }: ToolCallResult['data'], agent: string | undefined): void {
    const added = note === undefined ? {} : { note }
    const outcome: ToolOutcome =
      status === 'completed'
        ? { status, result: (result ?? {}) as Record<string, unknown>, ...added }
        : { status, error: error ?? 'failed', ...added }
    this.#say(toolMessage(callId, outcome), `call:${callId}`, agent)
    if (!this.#open) return
    this.#open.openCalls.delete(callId)
    this.#open.attempts = 0
  }

  /** What it kept is counted from the end: of a conversation that is read back the beginning may be missing. */
  #compact({ messages: many, kept, summary, metadata }: Omit<ContextCompacted, 'eventId'>): void {
    const messages = kept === undefined ? many : Math.max(0, this.#said.length - kept)
    const first: Said = { message: { role: 'user', text: summaryOf(summary) }, step: undefined }
    this.#said = [...compactedItems(this.#said, { messages }, ({ message }) => message, first)]
    const open = this.#open
    if (!open) return
    open.attempts = 0
    open.promptTokens += metadata.promptTokens
    open.completionTokens += metadata.completionTokens
    open.cost += metadata.cost
  }

  #recall(text: string): void {
    if (this.#open) this.#open.recalled = true
    const task = this.#said.findLastIndex(({ message }) => message.role === 'user')
    const said = this.#said[task]
    if (said) this.#said[task] = { ...said, message: { ...said.message, text: recalledTask(said.message.text, text) } }
  }

  #takenOver({ attempt, traceparent }: Omit<SessionTakeover, 'eventId'>): void {
    if (!this.#open) return
    this.#open.attempts = attempt
    this.#open.traceparent = traceparent ?? this.#open.traceparent
  }

  #endTurn(taskId: string): void {
    if (this.#open?.task.id === taskId) this.#open = undefined
  }
}

const openMessageOf = ({ messageId, agent }: Pick<StreamStart, 'messageId' | 'agent'>) =>
  agent === undefined ? { messageId } : { messageId, agent }

function beginTurn(task: Task, turn: number, startedAt: number): OpenTurn {
  return {
    task,
    turn,
    startedAt,
    traceparent: undefined,
    steps: 0,
    attempts: 0,
    openMessage: undefined,
    openCalls: new Map(),
    approvals: new Map(),
    recalled: false,
    promptTokens: 0,
    completionTokens: 0,
    cost: 0,
  }
}
