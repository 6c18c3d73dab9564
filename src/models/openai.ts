/**
 * OpenAI's chat completions, and every server that speaks them (vLLM, Ollama, proxies): set a base URL.
 */
import { randomUUID } from 'node:crypto'
import OpenAI from 'openai'
import type { ChatCompletionChunk, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import type { RetryPolicy } from './backoff.js'
import type { FinishReason, Model, ModelChunk, ModelMessage, ModelRequest, ToolRequest, Usage } from './model.js'
import { DEFAULT_RETRY, retryUntilFirst } from './retry.js'
import { guarded, STREAM_IDLE_MS, StreamBroken } from './stream-guard.js'
import { toolInput } from './tool-input.js'

const OFFICIAL_URL = 'https://api.openai.com/v1'

export interface OpenAiSettings {
  readonly model: string
  /** May be left out for local servers that want none. */
  readonly apiKey?: string | undefined
  readonly baseUrl?: string | undefined
  readonly orgId?: string | undefined
  readonly retry?: RetryPolicy
}

export class OpenAiModel implements Model {
  readonly provider = 'openai'
  readonly name: string
  readonly #client: OpenAI
  readonly #retry: RetryPolicy
  readonly #key: string | undefined
  readonly #official: boolean

  constructor(settings: OpenAiSettings) {
    this.name = settings.model
    this.#retry = settings.retry ?? DEFAULT_RETRY
    this.#key = settings.apiKey
    this.#official = settings.baseUrl === undefined
    // Every value is given, because the SDK fills gaps from environment variables of its own.
    this.#client = new OpenAI({
      apiKey: settings.apiKey ?? 'none',
      baseURL: settings.baseUrl ?? OFFICIAL_URL,
      organization: settings.orgId ?? null,
      project: null,
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
    const stream = await this.#client.chat.completions.create(this.#body(request), { signal })
    const answer = new ChatAnswer()
    for await (const chunk of stream) {
      const text = answer.take(chunk)
      if (text !== '') yield { type: 'text', text }
    }
    yield answer.end()
  }

  #body(request: ModelRequest): OpenAI.ChatCompletionCreateParamsStreaming {
    return {
      model: this.name,
      messages: [{ role: 'system', content: request.system }, ...request.messages.map(chatMessage)],
      stream: true,
      stream_options: { include_usage: true },
      // OpenAI's newer models refuse `max_tokens`; most compatible servers know no other name.
      ...(this.#official ? { max_completion_tokens: request.maxTokens } : { max_tokens: request.maxTokens }),
      ...(request.tools.length > 0 && {
        tools: request.tools.map(({ name, description, parameters }) => ({
          type: 'function' as const,
          function: { name, description, parameters: { ...parameters } },
        })),
      }),
    }
  }
}

function chatMessage(message: ModelMessage): ChatCompletionMessageParam {
  if (message.role === 'user') return { role: 'user', content: message.text }
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.callId, content: message.text }
  if (!message.toolCalls?.length) return { role: 'assistant', content: message.text }
  return {
    role: 'assistant',
    content: message.text || null,
    tool_calls: message.toolCalls.map((call) => ({
      id: call.callId,
      type: 'function',
      function: { name: call.name, arguments: JSON.stringify(call.input) },
    })),
  }
}

const FINISH: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  length: 'length',
  content_filter: 'refused',
}

/** Puts one answer together from its chunks. */
class ChatAnswer {
  readonly #calls = new Map<number, { id: string; name: string; json: string }>()
  #finish: string | undefined
  #refused = false
  #usage: Usage = { promptTokens: 0, completionTokens: 0 }

  /** Takes a chunk in and returns its text. */
  take(chunk: ChatCompletionChunk): string {
    // The usage comes in a chunk of its own; servers that do not count leave it at zero.
    if (chunk.usage) {
      const { prompt_tokens: promptTokens, completion_tokens: completionTokens, prompt_tokens_details } = chunk.usage
      const cachedTokens = prompt_tokens_details?.cached_tokens ?? 0
      this.#usage = { promptTokens, completionTokens, ...(cachedTokens > 0 && { cachedTokens }) }
    }
    const choice = chunk.choices?.[0]
    if (choice === undefined) return ''
    if (choice.finish_reason) this.#finish = choice.finish_reason
    for (const part of choice.delta?.tool_calls ?? []) this.#takeCall(part)
    if (choice.delta?.refusal) this.#refused = true
    return choice.delta?.content ?? choice.delta?.refusal ?? ''
  }

  #takeCall(part: ChatCompletionChunk.Choice.Delta.ToolCall): void {
    const call = this.#calls.get(part.index) ?? { id: '', name: '', json: '' }
    call.id ||= part.id ?? ''
    call.name ||= part.function?.name ?? ''
    call.json += part.function?.arguments ?? ''
    this.#calls.set(part.index, call)
  }

  end(): ModelChunk {
    if (this.#finish === undefined) throw new StreamBroken('the stream ended without a finish reason')
    const finishReason = this.#refused ? 'refused' : (FINISH[this.#finish] ?? 'stop')
    return { type: 'end', toolCalls: this.#toolCalls(), finishReason, usage: this.#usage }
  }

  #toolCalls(): ToolRequest[] {
    // Some servers send no id; the answer to a call needs one all the same.
    return [...this.#calls.values()].map(({ id, name, json }) => ({
      callId: id || `call_${randomUUID()}`,
      name,
      input: toolInput(json),
    }))
  }
}
