/**
 * What the server says. `LoggedEvent` is what happened in a session: numbered, durable, replayed on resume, and at the
 * same time the journal from which another worker continues. `Reply` (see `replies`) answers one connection and is never
 * stored. Shapes are a superset of the reference's README (rows W-30 to W-45 of docs/compatibility.md).
 */
import type { ApprovalLevel, ApprovalOutcome } from './approvals.js'
import type { RequestId } from './commands.js'
import type { Reply } from './replies.js'
import type { Session, Task, TaskUsage } from './session.js'

/**
 * On every logged event. `requestId` echoes the command that caused it, where there is one. `commandId` names the command
 * that ends here: a store that has forgotten which those were learns it from its events.
 */
interface Logged {
  readonly eventId: string
  readonly sessionId: string
  /** ISO 8601; of the worker's clock, never used for order. */
  readonly timestamp: string
  readonly requestId?: RequestId
  readonly commandId?: string
  /** What caused it in a trace that is recorded: the turn, or else the command. */
  readonly traceparent?: string
}

export interface SessionSpawned extends Logged {
  readonly type: 'session_spawned'
  readonly status: 'active'
  readonly metadata: { readonly createdAt: string }
  readonly session: Session
}

export interface SessionStatusUpdate extends Logged {
  readonly type: 'session_status_update'
  readonly session: Session
}

export interface TaskExecuting extends Logged {
  readonly type: 'task_executing'
  readonly taskId: string
  readonly task: Task
  /** Number of this turn in its session, from 1. */
  readonly turn: number
  readonly context?: Readonly<Record<string, unknown>>
}

export interface TaskCompleted extends Logged {
  readonly type: 'task_completed'
  readonly taskId: string
  readonly result: { readonly success: true; readonly output: string }
  readonly usage: TaskUsage
}

export interface TaskFailed extends Logged {
  readonly type: 'task_failed'
  readonly taskId: string
  readonly error: string
  readonly code: string
  /** When a spent budget begins anew; with `budget_exceeded`. */
  readonly resetsAt?: string
  readonly usage: TaskUsage
}

export interface TaskCancelled extends Logged {
  readonly type: 'task_cancelled'
  readonly taskId: string
  readonly reason: string
  readonly usage: TaskUsage
}

/** Intent of a model call: text of `messageId` follows as `stream_chunk`. `agent` where it is not the session's own. */
export interface StreamStart extends Logged {
  readonly type: 'stream_start'
  readonly agent?: string
  readonly messageId: string
  readonly metadata: { readonly model: string }
}

/** Result of a model call. `text` is the whole message: exactly the chunks of `messageId`, joined. */
export interface StreamEnd extends Logged {
  readonly type: 'stream_end'
  readonly agent?: string
  readonly messageId: string
  readonly text: string
  readonly toolCalls: readonly { readonly callId: string; readonly name: string; readonly input: object }[]
  readonly finishReason: string
  readonly metadata: {
    readonly totalTokens: number
    readonly duration: number
    readonly promptTokens: number
    readonly completionTokens: number
    readonly cost: number
  }
}

/** Intent of a tool call; durable before the tool runs. */
export interface ToolCallStart extends Logged {
  readonly type: 'tool_call_start'
  readonly agent?: string
  readonly data: {
    readonly sessionId: string
    readonly callId: string
    readonly toolName: string
    readonly toolInput: object
    readonly effect: 'read' | 'idempotent' | 'once' | 'ask'
    readonly status: 'started'
    readonly timestamp: string
  }
}

export interface ToolCallResult extends Logged {
  readonly type: 'tool_call_result'
  readonly agent?: string
  readonly data: {
    readonly sessionId: string
    readonly callId: string
    readonly toolName: string
    readonly status: 'completed' | 'failed'
    readonly result?: object
    readonly error?: string
    /** What hooks of the service add for the model. */
    readonly note?: string
    readonly timestamp: string
  }
}

/** The charter leaves a tool call to a person: the turn waits for `approval_decision`. */
export interface ApprovalRequest extends Logged {
  readonly type: 'approval_request'
  readonly taskId: string
  readonly approvalId: string
  readonly callId: string
  readonly toolName: string
  /** Long texts are cut. */
  readonly toolInput: object
  /** What the call does and which entry of the charter asks, in a sentence. */
  readonly reason: string
  readonly level: ApprovalLevel
  /** Nobody's answer is a refusal then. */
  readonly expiresAt: string
}

/** How it ended; the turn goes on. */
export interface ApprovalResolved extends Logged {
  readonly type: 'approval_resolved'
  readonly taskId: string
  readonly approvalId: string
  readonly callId: string
  readonly toolName: string
  readonly status: ApprovalOutcome
  readonly decidedBy?: string
  readonly comment?: string
}

/** Another worker goes on with an unfinished turn. `attempt` counts takeovers since the last finished step. */
export interface SessionTakeover extends Logged {
  readonly type: 'session_takeover'
  readonly taskId: string
  readonly fromWorker: string
  readonly worker: string
  readonly attempt: number
  /** From the last sign of life of the former owner to this event, by Redis time, in ms. */
  readonly afterMs: number
}

/** A budget has come to a share of its limit. Each share is told once in each of its windows. */
export interface BudgetAlerted extends Logged {
  readonly type: 'budget_alert'
  readonly data: BudgetAlert
}

export interface BudgetAlert {
  readonly alert: `threshold:${number}` | 'budget:exceeded'
  readonly level: 'info' | 'warning' | 'critical' | 'emergency'
  /** Whose budget: of the session, of its orchestrator, or of all sessions of its tenant. */
  readonly scope: 'session' | 'orchestrator' | 'tenant'
  readonly id: string
  readonly period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'session'
  /** In percent. */
  readonly threshold: number
  /** In tokens. */
  readonly used: number
  readonly limit: number
  /** When the period began and when the next one does; null for a session's own budget, which lasts as long as it does. */
  readonly since: string
  readonly resetsAt: string | null
}

/**
 * The beginning of the conversation was shortened: from here on `summary` stands for its first `messages`, as it stood
 * then. Nothing is lost: they are in the log, and are found by memory_search. `facts` were taken out of it to be remembered,
 * each with the steps that it comes from (`task:<turn>`, `message:<id>`, `call:<id>`).
 */
export interface ContextCompacted extends Logged {
  readonly type: 'context_compacted'
  /** Names the model call that wrote the summary. */
  readonly messageId: string
  readonly messages: number
  /** How many follow that stay as they were. Events of before 2026-11-27 do not say so. */
  readonly kept?: number
  readonly summary: string
  readonly facts: readonly CompactedFact[]
  readonly metadata: StreamEnd['metadata'] & {
    readonly model: string
    readonly tokensBefore: number
    readonly tokensAfter: number
  }
}

export interface CompactedFact {
  readonly content: string
  /** What it is about: a later fact of the same key takes its place. */
  readonly key?: string
  readonly sources: readonly string[]
}

/** What was remembered for the task that has begun; `text` is what the model is told of it. */
export interface MemoryRecalled extends Logged {
  readonly type: 'memory_recalled'
  readonly text: string
  readonly items: readonly string[]
}

/**
 * Claude Code could not go on with what it had written down of the conversation: it began anew, and was told from this log
 * what had been said and done.
 */
export interface ConversationRetold extends Logged {
  readonly type: 'conversation_retold'
  readonly reason: string
}

export type LoggedEvent =
  | SessionSpawned
  | SessionStatusUpdate
  | TaskExecuting
  | TaskCompleted
  | TaskFailed
  | TaskCancelled
  | StreamStart
  | StreamEnd
  | ToolCallStart
  | ToolCallResult
  | ApprovalRequest
  | ApprovalResolved
  | SessionTakeover
  | BudgetAlerted
  | ContextCompacted
  | MemoryRecalled
  | ConversationRetold
export type LoggedEventType = LoggedEvent['type']

/** A type without a place in this list does not compile. */
const LOGGED = {
  session_spawned: true,
  session_status_update: true,
  task_executing: true,
  task_completed: true,
  task_failed: true,
  task_cancelled: true,
  stream_start: true,
  stream_end: true,
  tool_call_start: true,
  tool_call_result: true,
  approval_request: true,
  approval_resolved: true,
  session_takeover: true,
  budget_alert: true,
  context_compacted: true,
  memory_recalled: true,
  conversation_retold: true,
} as const satisfies Record<LoggedEventType, true>
export const LOGGED_EVENT_TYPES = Object.keys(LOGGED) as LoggedEventType[]

/** An event before the log has numbered it. */
export type NewEvent = LoggedEvent extends infer E ? (E extends LoggedEvent ? Omit<E, 'eventId'> : never) : never

/** Text of a message being streamed, addressed by (messageId, offset): offset and length count UTF-8 bytes. */
export interface StreamChunk {
  readonly type: 'stream_chunk'
  readonly data: {
    readonly sessionId: string
    readonly chunk: string
    readonly messageId: string
    readonly offset: number
    /** `gatheredMs`: for how long its first piece was held back to be sent with more; left out where it was not. */
    readonly metadata: { readonly tokens: number; readonly gatheredMs?: number }
  }
}

export type ServerMessage = LoggedEvent | StreamChunk | Reply
