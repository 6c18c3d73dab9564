/**
 * The journal of a turn: each step's intent before it, its result after it, as events of the session's log. Recovery
 * reads them back (conversation.ts).
 */
import type { FinishReason, ToolRequest, Usage } from '../models/model.js'
import type { RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { NewEvent } from '../protocol/events.js'
import { newMessageId } from '../protocol/ids.js'
import type { Compaction } from '../runtimes/context-window.js'
import { NOT_NOTED, OUTCOME_UNKNOWN } from '../runtimes/prompt.js'
import {
  type EffectClass,
  isRepeatable,
  type Journal,
  type OpenMessage,
  type Progress,
  type ToolOutcome,
} from '../runtimes/runtime.js'
import type { TurnHooks } from './turn-hooks.js'

/** What every event of a turn carries. */
export interface EventBase {
  readonly sessionId: string
  readonly timestamp: string
  readonly requestId?: RequestId
  readonly traceparent?: string
}

/** The place of a tool call in its turn; it stays the same when the model is asked once more for the same step. */
export interface CallPlace {
  readonly step: number
  readonly position: number
  readonly callId: string
  readonly tool: string
}

export interface JournalOptions {
  readonly base: () => EventBase
  readonly record: (event: NewEvent, clearPart: boolean) => Promise<void>
  /** Names of the steps that brought these messages of the conversation. */
  readonly stepsOf: (messages: readonly number[]) => readonly string[]
  readonly openMessage: (messageId: string) => void
  readonly text: (chunk: string) => void
  /**
   * Notes where no failover loses it that a call begins which must never run twice; false when it had begun before.
   * @throws ServiceError `unavailable`
   */
  readonly beginOnce: (place: CallPlace) => Promise<boolean>
  /** What runs around calls. */
  readonly hooks: Pick<TurnHooks, 'withdraw' | 'after'>
  /** Makes the files of the workspace durable, before the result of the tool that may have changed them. */
  readonly saveWorkspace: () => Promise<ToolOutcome | undefined>
  /** Where the turn goes on. */
  readonly progress: Pick<Progress, 'messages' | 'steps'>
  /** The message that a former owner left open. */
  readonly part: OpenMessage | undefined
}

type MessageEnd = Parameters<Journal['messageEnded']>[0]

type Opened = { -readonly [Key in keyof OpenMessage]: OpenMessage[Key] } & { readonly startedAt: number }

export class StepJournal implements Journal {
  readonly #options: JournalOptions
  #open: Opened | undefined
  readonly #effects = new Map<string, EffectClass>()
  /** Who asked for the calls that run, where it is not the session itself. */
  readonly #agents = new Map<string, string>()
  /** Model calls that have ended, and the ids of the calls that the last one asked for. */
  #step: number
  #asked: readonly string[]

  constructor(options: JournalOptions) {
    this.#options = options
    const { part, progress } = options
    this.#step = progress.steps
    this.#asked = idsOf(progress.messages.findLast((message) => message.role === 'assistant')?.toolCalls)
    if (part) {
      this.#open = { ...part, startedAt: performance.now() }
      options.openMessage(part.messageId)
    }
  }

  async messageStarted(model: string, agent?: string): Promise<string> {
    const messageId = newMessageId()
    const who = agent === undefined ? {} : { agent }
    this.#open = { messageId, startedAt: performance.now(), ...who, text: '' }
    await this.#options.record({ type: 'stream_start', ...this.#base(), ...who, messageId, metadata: { model } }, false)
    this.#options.openMessage(messageId)
    return messageId
  }

  text(chunk: string): void {
    if (!this.#open) throw new Error('text outside of a message')
    this.#open.text += chunk
    this.#options.text(chunk)
  }

  async messageEnded({ toolCalls, finishReason, usage, cost }: MessageEnd): Promise<void> {
    this.#step += 1
    this.#asked = idsOf(toolCalls)
    await this.#end(finishReason, toolCalls, usage, cost)
  }

  /** Closes a message that the end of the turn cut short, so that the log holds what clients have seen. */
  async messageCut(): Promise<void> {
    if (this.#open) await this.#end('cancelled', [], { promptTokens: 0, completionTokens: 0 }, 0)
  }

  async toolStarted(call: ToolRequest, effect: EffectClass, agent?: string): Promise<ToolOutcome | undefined> {
    this.#effects.set(call.callId, effect)
    if (agent !== undefined) this.#agents.set(call.callId, agent)
    const { sessionId, timestamp } = this.#base()
    const data = { sessionId, callId: call.callId, toolName: call.name, toolInput: call.input, effect, timestamp }
    const who = this.#whoAsked(call)
    const event = { type: 'tool_call_start', ...this.#base(), ...who, data: { ...data, status: 'started' } } as const
    const begun = isRepeatable(effect) ? undefined : this.#beginOnce(call)
    const [refusal] = await Promise.all([begun, this.#options.record(event, false)])
    if (refusal) this.#options.hooks.withdraw(call.callId)
    return refusal
  }

  /** Where the call stands in the turn: its step, and its position in that answer. */
  placeOf(callId: string): Pick<CallPlace, 'step' | 'position'> {
    return { step: this.#step, position: this.#asked.indexOf(callId) }
  }

  async #beginOnce({ callId, name: tool }: ToolRequest): Promise<ToolOutcome | undefined> {
    const place = { ...this.placeOf(callId), callId, tool }
    try {
      return (await this.#options.beginOnce(place)) ? undefined : OUTCOME_UNKNOWN
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'unavailable') return NOT_NOTED
      throw error
    }
  }

  async toolEnded(call: ToolRequest, outcome: ToolOutcome): Promise<ToolOutcome> {
    // Before the files are saved, because a hook may change them.
    const hooked = await this.#options.hooks.after(call.callId, outcome)
    const changesFiles = hooked !== undefined || this.#effects.get(call.callId) !== 'read'
    const final = (changesFiles ? await this.#options.saveWorkspace() : undefined) ?? hooked ?? outcome
    const { sessionId, timestamp } = this.#base()
    const data = { sessionId, callId: call.callId, toolName: call.name, ...final, timestamp }
    await this.#options.record({ type: 'tool_call_result', ...this.#base(), ...this.#whoAsked(call), data }, false)
    this.#effects.delete(call.callId)
    this.#agents.delete(call.callId)
    return final
  }

  #whoAsked({ callId }: ToolRequest): { readonly agent?: string } {
    const agent = this.#agents.get(callId)
    return agent === undefined ? {} : { agent }
  }

  async compacted({ messages, kept, summary, facts, ...call }: Compaction): Promise<void> {
    const { promptTokens, completionTokens } = call.usage
    const { model, cost, durationMs: duration, tokensBefore, tokensAfter } = call
    const totalTokens = promptTokens + completionTokens
    const spent = { totalTokens, duration, promptTokens, completionTokens, cost }
    const metadata = { ...spent, model, tokensBefore, tokensAfter }
    const named = facts.map((fact) => ({ ...fact, sources: this.#options.stepsOf(fact.sources) }))
    const ids = { messageId: newMessageId(), messages, kept, summary, facts: named }
    await this.#options.record({ type: 'context_compacted', ...this.#base(), ...ids, metadata }, false)
  }

  async recalled(text: string, items: readonly string[]): Promise<void> {
    await this.#options.record({ type: 'memory_recalled', ...this.#base(), text, items }, false)
  }

  async retold(reason: string): Promise<void> {
    await this.#options.record({ type: 'conversation_retold', ...this.#base(), reason }, false)
  }

  #base(): EventBase {
    return this.#options.base()
  }

  async #end(finishReason: FinishReason | 'cancelled', toolCalls: MessageEnd['toolCalls'], usage: Usage, cost: number) {
    const open = this.#open
    if (!open) throw new Error('the end of a message that did not begin')
    this.#open = undefined
    const { promptTokens, completionTokens } = usage
    const metadata = {
      totalTokens: promptTokens + completionTokens,
      duration: Math.round(performance.now() - open.startedAt),
      promptTokens,
      completionTokens,
      cost,
    }
    const { messageId, text, agent } = open
    const who = agent === undefined ? {} : { agent }
    const end = {
      type: 'stream_end',
      ...this.#base(),
      ...who,
      messageId,
      text,
      toolCalls,
      finishReason,
      metadata,
    } as const
    await this.#options.record(end, true)
  }
}

const idsOf = (calls: readonly ToolRequest[] = []): readonly string[] => calls.map(({ callId }) => callId)
