/**
 * One message of the model, put together from the events of its stream.
 */
import type { SDKPartialAssistantMessage } from '@anthropic-ai/claude-agent-sdk'
import { ANTHROPIC_FINISH } from '../../models/anthropic-finish.js'
import type { FinishReason, ToolRequest, Usage } from '../../models/model.js'
import { toolInput } from '../../models/tool-input.js'

const MS_PER_SECOND = 1_000

export type StreamEvent = SDKPartialAssistantMessage['event']

/** As far as vendors and their proxies fill it in. */
export interface VendorUsage {
  readonly input_tokens?: number | null
  readonly output_tokens?: number | null
  readonly cache_creation_input_tokens?: number | null
  readonly cache_read_input_tokens?: number | null
}

/** Cached parts of a prompt are counted apart by the vendor; they are prompt all the same. */
export function usageOf(usage: VendorUsage): Usage {
  const cachedTokens = usage.cache_read_input_tokens ?? 0
  const cacheWriteTokens = usage.cache_creation_input_tokens ?? 0
  return {
    promptTokens: (usage.input_tokens ?? 0) + cacheWriteTokens + cachedTokens,
    completionTokens: usage.output_tokens ?? 0,
    ...(cachedTokens > 0 && { cachedTokens }),
    ...(cacheWriteTokens > 0 && { cacheWriteTokens }),
  }
}

export class SpokenMessage {
  readonly #calls = new Map<number, { readonly callId: string; readonly name: string; json: string }>()
  readonly #startedAt = performance.now()
  #stopReason = 'end_turn'
  usage: Usage

  constructor(
    readonly model: string,
    usage: VendorUsage,
  ) {
    this.usage = { ...usageOf(usage), completionTokens: 0 }
  }

  /** Takes an event in and returns its text. */
  take(event: StreamEvent): string {
    if (event.type === 'content_block_start') {
      const block = event.content_block
      if (block.type === 'tool_use') this.#calls.set(event.index, { callId: block.id, name: block.name, json: '' })
      return block.type === 'text' ? block.text : ''
    }
    if (event.type === 'content_block_delta') {
      const call = this.#calls.get(event.index)
      if (event.delta.type === 'input_json_delta' && call) call.json += event.delta.partial_json
      return event.delta.type === 'text_delta' ? event.delta.text : ''
    }
    if (event.type === 'message_delta') {
      this.#stopReason = event.delta.stop_reason ?? this.#stopReason
      this.usage = { ...this.usage, completionTokens: usageOf(event.usage).completionTokens }
    }
    return ''
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / MS_PER_SECOND
  }

  get finishReason(): FinishReason {
    return ANTHROPIC_FINISH[this.#stopReason] ?? 'stop'
  }

  get toolCalls(): ToolRequest[] {
    return [...this.#calls.values()].map(({ callId, name, json }) => ({ callId, name, input: toolInput(json) }))
  }
}
