/**
 * The window that a conversation must fit into. What it holds and how it is counted is known to `memory/`.
 */
import type { Model, ModelMessage, ToolSpec, Usage } from '../models/model.js'

/** What is about to be sent. */
export interface ContextRequest {
  readonly model: Pick<Model, 'provider' | 'name'>
  readonly system: string
  readonly tools: readonly ToolSpec[]
  readonly messages: readonly ModelMessage[]
  /** The longest answer that is wanted. */
  readonly maxTokens: number
}

export interface ContextWindow {
  /** How many of the first messages are to be summed up before anything else is asked; 0 while all fit well. */
  due(request: ContextRequest): Promise<number>
  /**
   * The messages as they are sent: all of them, or what fits. The same for the same request.
   * @throws ServiceError `context_too_small`
   */
  fit(request: ContextRequest): Promise<readonly ModelMessage[]>
  tokensOf(request: ContextRequest): Promise<number>
  /** Characters of a conversation that may be shown to a model to be summed up. */
  readonly summedChars: number
}

/** A summary that takes the place of the first messages. `facts` name theirs by number. */
export interface Compaction {
  readonly messages: number
  /** How many messages follow them. */
  readonly kept: number
  readonly summary: string
  readonly facts: readonly Fact[]
  readonly model: string
  readonly usage: Usage
  readonly cost: number
  readonly durationMs: number
  readonly tokensBefore: number
  readonly tokensAfter: number
}

/** A fact to be remembered, and the numbers of the messages that it comes from. */
export interface Fact {
  readonly content: string
  readonly key?: string
  readonly sources: readonly number[]
}
