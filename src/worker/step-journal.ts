/**
 * The journal of a turn: each step's intent before it, its result after it, as events of the session's log. Recovery
 * reads them back (conversation.ts).
 */
import type { Part } from '../bus/bus.js'
import type { FinishReason, ToolRequest, Usage } from '../models/model.js'
import type { RequestId } from '../protocol/commands.js'
import type { NewEvent } from '../protocol/events.js'
import { newMessageId } from '../protocol/ids.js'
import type { EffectClass, Journal, ToolOutcome } from '../runtimes/runtime.js'

/** What every event of a turn carries. */
export interface EventBase {
  readonly sessionId: string
  readonly timestamp: string
  readonly requestId?: RequestId
}

export interface JournalOptions {
  readonly base: () => EventBase
  readonly record: (event: NewEvent, clearPart: boolean) => Promise<void>
  readonly openMessage: (messageId: string) => void
  readonly text: (chunk: string) => void
  /** Makes the files of the workspace durable, before the result of the tool that may have changed them. */
  readonly saveWorkspace: () => Promise<ToolOutcome | undefined>
  /** The message that a former owner left open. */
  readonly part: Part | undefined
}

type MessageEnd = Parameters<Journal['messageEnded']>[0]

export class StepJournal implements Journal {
  readonly #options: JournalOptions
  #open: { readonly messageId: string; readonly startedAt: number; text: string } | undefined
  readonly #effects = new Map<string, EffectClass>()

  constructor(options: JournalOptions) {
    this.#options = options
    const { part } = options
    if (part) {
      this.#open = { messageId: part.messageId, startedAt: performance.now(), text: part.text }
      options.openMessage(part.messageId)
    }
  }

  async messageStarted(model: string): Promise<string> {
    const messageId = newMessageId()
    this.#open = { messageId, startedAt: performance.now(), text: '' }
    await this.#options.record({ type: 'stream_start', ...this.#base(), messageId, metadata: { model } }, false)
    this.#options.openMessage(messageId)
    return messageId
  }

  text(chunk: string): void {
    if (!this.#open) throw new Error('text outside of a message')
    this.#open.text += chunk
    this.#options.text(chunk)
  }

  async messageEnded({ toolCalls, finishReason, usage, cost }: MessageEnd): Promise<void> {
    await this.#end(finishReason, toolCalls, usage, cost)
  }

  /** Closes a message that the end of the turn cut short, so that the log holds what clients have seen. */
  async messageCut(): Promise<void> {
    if (this.#open) await this.#end('cancelled', [], { promptTokens: 0, completionTokens: 0 }, 0)
  }

  async toolStarted(call: ToolRequest, effect: EffectClass): Promise<void> {
    this.#effects.set(call.callId, effect)
    const { sessionId, timestamp } = this.#base()
    const data = { sessionId, callId: call.callId, toolName: call.name, toolInput: call.input, effect, timestamp }
    const event = { type: 'tool_call_start', ...this.#base(), data: { ...data, status: 'started' } } as const
    await this.#options.record(event, false)
  }

  async toolEnded(call: ToolRequest, outcome: ToolOutcome): Promise<void> {
    const changesFiles = this.#effects.get(call.callId) !== 'read'
    const final = (changesFiles ? await this.#options.saveWorkspace() : undefined) ?? outcome
    const { sessionId, timestamp } = this.#base()
    const data = { sessionId, callId: call.callId, toolName: call.name, ...final, timestamp }
    await this.#options.record({ type: 'tool_call_result', ...this.#base(), data }, false)
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
    const { messageId, text } = open
    const end = { type: 'stream_end', ...this.#base(), messageId, text, toolCalls, finishReason, metadata } as const
    await this.#options.record(end, true)
  }
}
