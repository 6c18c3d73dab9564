/**
 * Anthropic's messages API, and servers that speak it: set a base URL.
 */
import Anthropic from '@anthropic-ai/sdk'
import type { ContentBlockParam, MessageParam, RawMessageStreamEvent } from '@anthropic-ai/sdk/resources/messages'
import { ANTHROPIC_FINISH } from './anthropic-finish.js'
import type { RetryPolicy } from './backoff.js'
import type { Model, ModelChunk, ModelMessage, ModelRequest, ToolRequest, Usage } from './model.js'
import { DEFAULT_RETRY, retryUntilFirst } from './retry.js'
import { guarded, STREAM_IDLE_MS, StreamBroken } from './stream-guard.js'
import { toolInput } from './tool-input.js'

const OFFICIAL_URL = 'https://api.anthropic.com'

export interface AnthropicSettings {
  readonly model: string
  /** May be left out for a proxy that adds its own. */
  readonly apiKey?: string | undefined
  readonly baseUrl?: string | undefined
  readonly retry?: RetryPolicy
}

export class AnthropicModel implements Model {
  readonly provider = 'anthropic'
  readonly name: string
  readonly #client: Anthropic
  readonly #retry: RetryPolicy
  readonly #key: string | undefined

  constructor(settings: AnthropicSettings) {
    this.name = settings.model
    this.#retry = settings.retry ?? DEFAULT_RETRY
    this.#key = settings.apiKey
    // Every value is given, because the SDK fills gaps from environment variables of its own.
    this.#client = new Anthropic({
      apiKey: settings.apiKey ?? 'none',
      authToken: null,
      baseURL: settings.baseUrl ?? OFFICIAL_URL,
      maxRetries: 0,
      timeout: STREAM_IDLE_MS,
      logLevel: 'off',
    })
  }

  stream(request: ModelRequest): AsyncIterable<ModelChunk> {
    const attempt = () => guarded((signal) => this.#attempt(request, signal), request.signal)
    return retryUntilFirst(attempt, request.signal, this.#retry, this.#key)
  }

  async *#attempt(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelChunk, void, undefined> {
    request.beforeAttempt()
    const stream = await this.#client.messages.create(this.#body(request), { signal })
    const answer = new MessageAnswer()
    for await (const event of stream) {
      const text = answer.take(event)
      if (text !== '') yield { type: 'text', text }
    }
    yield answer.end()
  }

  #body(request: ModelRequest): Anthropic.MessageCreateParamsStreaming {
    return {
      model: this.name,
      system: request.system,
      messages: messageParams(request.messages),
      stream: true,
      max_tokens: request.maxTokens,
      ...(request.tools.length > 0 && {
        tools: request.tools.map(({ name, description, parameters }) => ({
          name,
          description,
          input_schema: { ...parameters, type: 'object' as const },
        })),
      }),
    }
  }
}

/** Roles must alternate: what follows in the same role joins one message, tool results being the user's. */
function messageParams(messages: readonly ModelMessage[]): MessageParam[] {
  const params: { role: 'user' | 'assistant'; content: ContentBlockParam[] }[] = []
  for (const message of messages) {
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const content = blocksOf(message)
    const last = params.at(-1)
    if (content.length === 0) continue
    if (last?.role === role) last.content.push(...content)
    else params.push({ role, content })
  }
  return params
}

function blocksOf(message: ModelMessage): ContentBlockParam[] {
  if (message.role === 'tool') {
    return [{ type: 'tool_result', tool_use_id: message.callId, content: message.text, is_error: message.isError }]
  }
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : []
  return [
    // A block of nothing but white space is refused by the API.
    ...(message.text.trim() === '' ? [] : [{ type: 'text' as const, text: message.text }]),
    ...calls.map(({ callId, name, input }) => ({ type: 'tool_use' as const, id: callId, name, input })),
  ]
}

/** Puts one answer together from its events. */
class MessageAnswer {
  readonly #calls = new Map<number, { callId: string; name: string; json: string }>()
  #stopReason: string | undefined
  #complete = false
  #usage: Usage = { promptTokens: 0, completionTokens: 0 }

  /** Takes an event in and returns its text. */
  take(event: RawMessageStreamEvent): string {
    switch (event.type) {
      case 'message_start':
        this.#usage = { ...this.#usage, ...promptUsage(event.message.usage) }
        return ''
      case 'content_block_start':
        if (event.content_block.type === 'tool_use') {
          const { id, name } = event.content_block
          this.#calls.set(event.index, { callId: id, name, json: '' })
        }
        return event.content_block.type === 'text' ? event.content_block.text : ''
      case 'content_block_delta':
        return this.#takeDelta(event.index, event.delta)
      case 'message_delta':
        this.#stopReason = event.delta.stop_reason ?? this.#stopReason
        this.#usage = { ...this.#usage, completionTokens: event.usage.output_tokens }
        return ''
      case 'message_stop':
        this.#complete = true
        return ''
      default:
        return ''
    }
  }

  #takeDelta(index: number, delta: Anthropic.RawContentBlockDelta): string {
    if (delta.type === 'text_delta') return delta.text
    const call = this.#calls.get(index)
    if (delta.type === 'input_json_delta' && call !== undefined) call.json += delta.partial_json
    return ''
  }

  end(): ModelChunk {
    if (!this.#complete) throw new StreamBroken('the stream ended before message_stop')
    const finishReason = ANTHROPIC_FINISH[this.#stopReason ?? 'end_turn'] ?? 'stop'
    return { type: 'end', toolCalls: this.#toolCalls(), finishReason, usage: this.#usage }
  }

  #toolCalls(): ToolRequest[] {
    return [...this.#calls.values()].map(({ callId, name, json }) => ({ callId, name, input: toolInput(json) }))
  }
}

/** Cached parts of a prompt are counted apart by the vendor; they are prompt all the same. */
function promptUsage(usage: Anthropic.Usage): Omit<Usage, 'completionTokens'> {
  const cachedTokens = usage.cache_read_input_tokens ?? 0
  const cacheWriteTokens = usage.cache_creation_input_tokens ?? 0
  return {
    promptTokens: usage.input_tokens + cacheWriteTokens + cachedTokens,
    ...(cachedTokens > 0 && { cachedTokens }),
    ...(cacheWriteTokens > 0 && { cacheWriteTokens }),
  }
}
