/**
 * A runtime carries out one task of a session. It sees the world only through `Turn`: everything it does is recorded
 * there first, so that another worker can go on from the last recorded step.
 */
import type { FinishReason, ModelMessage, ToolRequest, Usage } from '../models/model.js'
import type { SessionOptions, Task } from '../protocol/session.js'
import type { Trace } from '../telemetry/tracing.js'
import type { MemoryHolder } from './agent-memory.js'
import type { Compaction } from './context-window.js'

/** What a crash may do to a tool call: `read` and `idempotent` run again, `once` never does, `ask` waits for a human. */
export type EffectClass = 'read' | 'idempotent' | 'once' | 'ask'

/** A model answer that was being written when the last owner stopped: `text` is what clients have seen. */
export interface OpenMessage {
  readonly messageId: string
  readonly text: string
  /** Whose it is, where it is not the session's own. */
  readonly agent?: string
}

/** Where a turn continues: nothing recorded yet, or what the last owner left. */
export interface Progress {
  /**
   * Everything said and done so far in this session, including finished steps of this turn. Each task is one `user`
   * message worded by `taskPrompt`, the current task included; each tool result is worded by `toolText`.
   */
  readonly messages: readonly ModelMessage[]
  readonly openMessage: OpenMessage | undefined
  /** Tool calls that the last answer asked for and that have no result yet, with whether each was started, and as what. */
  readonly openCalls: readonly (ToolRequest & { readonly started: boolean; readonly effect?: EffectClass })[]
  /** Model calls finished in this turn. */
  readonly steps: number
  /** What is remembered for this task stands in its message already. */
  readonly recalled: boolean
}

/** The record of a turn. Each promise resolves when the entry is durable; none may be skipped or reordered. */
export interface Journal {
  /**
   * Before a model call. Returns the id of the message whose text will follow. `agent` names who speaks where it is not
   * the session itself.
   */
  messageStarted(model: string, agent?: string): Promise<string>
  /**
   * Text of the current message; sent within 20 ms, under load within 100 ms, and kept before it is shown. In a recovered turn the current message is
   * `progress.openMessage`, without a new `messageStarted`: text continues after what is recorded.
   */
  text(chunk: string): void
  /** After a model call, `cancelled` when it was cut and will not go on. `cost` in US dollars. */
  messageEnded(end: {
    readonly toolCalls: readonly ToolRequest[]
    readonly finishReason: FinishReason | 'cancelled'
    readonly usage: Usage
    readonly cost: number
  }): Promise<void>
  /**
   * Before a tool call; not again for a call that `progress.openCalls` reports as started. An outcome means that the call
   * must not run: it may have run before, or nobody could note down that it would.
   */
  toolStarted(call: ToolRequest, effect: EffectClass, agent?: string): Promise<ToolOutcome | undefined>
  /** Returns the outcome that is on record, which the model is to be told: hooks may have added to it. */
  toolEnded(call: ToolRequest, outcome: ToolOutcome): Promise<ToolOutcome>
  /** The first messages were summed up: `compactedMessages` is what the conversation is from now on. */
  compacted(compaction: Compaction): Promise<void>
  /** Adds what is remembered for the task to its message, once. */
  recalled(text: string, items: readonly string[]): Promise<void>
  /** What a runtime kept of the conversation was of no use: it goes on from what the journal holds. */
  retold(reason: string): Promise<void>
}

export type ToolOutcome = (
  | { readonly status: 'completed'; readonly result: Readonly<Record<string, unknown>> }
  | { readonly status: 'failed'; readonly error: string }
) & {
  /** What hooks add for the model. */
  readonly note?: string
}

/** Whether a call may run once more when nobody knows how far it came. */
export const isRepeatable = (effect: EffectClass): boolean => effect === 'read' || effect === 'idempotent'

/** A model call that is about to be made. */
export interface PlannedCall {
  readonly model: string
  /** What is sent, rather too much than too little: nobody counts it before the vendor does. */
  readonly promptTokens: number
  /** The longest answer that is wanted. */
  readonly maxTokens: number
  /** Tells calls of one step apart that are made side by side; without it a call takes the place of the one before. */
  readonly lane?: string
}

/** What the budgets grant for one model call. */
export interface Allowance {
  /** The longest answer that may be asked for: less than was wanted where a budget is nearly spent. */
  readonly maxTokens: number
  /** What the call used, or by all that is known has used when it was cut; `tools` are the names of those it asked for. */
  settle(usage: Usage, tools?: readonly string[]): Promise<void>
}

/** Why a turn is asked to end; the reason of its abort signal. */
export type Stopping =
  /** By the client: the task ends as cancelled. */
  | { readonly kind: 'cancelled' | 'stopped' }
  /** By us: nothing more is recorded, and the next owner goes on. */
  | { readonly kind: 'lost' | 'closed' | 'draining' }

export interface Turn extends MemoryHolder {
  readonly task: Task
  readonly progress: Progress
  readonly journal: Journal
  /** Absolute path of the session's own directory; it exists. */
  readonly workspace: string
  /** What the session was spawned with. */
  readonly options: SessionOptions
  /** Number of the ownership under which this turn runs: what a runtime keeps outside of the journal is fenced by it. */
  readonly epoch: number
  /** Aborted on cancel, stop and loss of ownership, with a `Stopping`. */
  readonly signal: AbortSignal
  /** Where spans of model calls and tool calls hang; nothing is traced without it. */
  readonly trace?: Trace | undefined
  /**
   * Whether a tool call may run, by the charter and, where it asks for one, by a human. Resolves with the failed outcome of
   * a call that may not; waits as long as a human takes, which may be hours. Ask before `journal.toolStarted`, and once more
   * after a takeover: what was decided stands, but for an `ask` call
   * that had begun (`wasInterrupted`): a person says anew whether it may run once more. Rejects when `signal` is aborted.
   */
  permit(call: ToolRequest, effect: EffectClass, wasInterrupted?: boolean): Promise<ToolOutcome | undefined>
  /**
   * Reserves from the budgets of session, orchestrator and tenant what a model call may use. Waits while calls in flight
   * hold what is left. Every model call needs one, also a summary, an attempt to continue, or what an agent asks by itself.
   * @throws ServiceError `budget_exceeded`
   */
  reserve(call: PlannedCall): Promise<Allowance>
  /** What was said and done in this session before this turn, read back from the log: where a runtime has lost its own record. */
  past(): Promise<readonly ModelMessage[]>
  /** What names a call of this turn's last answer for ever: the same after a takeover. */
  keyOf(callId: string): string
  /** Throws when this process may no longer start effects. Call it directly before each model call and tool call. */
  beforeEffect(): void
}

export interface TaskResult {
  readonly output: string
}

export interface Runtime {
  /** Runs the task to its end. A failure for the user is thrown as `ServiceError`. Rejects soon after `turn.signal` is aborted. */
  run(turn: Turn): Promise<TaskResult>
  /** The session has no next task here: what was kept for one may go. Called after the last turn, or without one. */
  forget?(sessionId: string): void
}

/** The text of an answer that ended the turn before the last owner could say so. */
export function finishedAnswer({ progress }: Turn): string | undefined {
  const last = progress.messages.at(-1)
  const isOpen = progress.openMessage !== undefined || progress.openCalls.length > 0
  if (isOpen || progress.steps === 0 || last?.role !== 'assistant' || last.toolCalls?.length) return undefined
  return last.text
}
