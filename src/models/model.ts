/**
 * What the product asks of a model vendor: one streaming call with tools. Each vendor stays behind this interface.
 */
import type { Trace } from '../telemetry/tracing.js'

/** A tool as the model sees it. `parameters` is a JSON Schema object. */
export interface ToolSpec {
  readonly name: string
  readonly description: string
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * The one key of a tool call's `input` when the model's arguments were no JSON object; its value is the start of what
 * was sent. It travels in `input` so that clients see it and a recovered turn still knows it.
 */
export const MALFORMED_INPUT = '$malformed'

/** A tool call that the model asked for; `input` is the parsed JSON object, or one entry under `MALFORMED_INPUT`. */
export interface ToolRequest {
  readonly callId: string
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
}

export type ModelMessage =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly toolCalls?: readonly ToolRequest[] }
  | { readonly role: 'tool'; readonly callId: string; readonly text: string; readonly isError: boolean }

/** Tokens as the vendor counted them. */
export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** Of the prompt's tokens: those that the vendor read from its cache, which costs less. */
  readonly cachedTokens?: number
  /** Of the prompt's tokens: those that it wrote into its cache, which may cost more. */
  readonly cacheWriteTokens?: number
}

export type FinishReason = 'stop' | 'tool_calls' | 'length' | 'refused'

export interface ModelRequest {
  readonly system: string
  readonly messages: readonly ModelMessage[]
  readonly tools: readonly ToolSpec[]
  readonly maxTokens: number
  readonly signal: AbortSignal
  /** Where the call's span hangs; nothing is traced without it, and the vendor is told nothing of it. */
  readonly trace?: Trace | undefined
  /** Called directly before each request to the vendor, retries included; what it throws ends the call. */
  beforeAttempt(): void
}

/** Parts of one answer in order: any number of `text`, then exactly one `end`. */
export type ModelChunk =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'end'
      readonly toolCalls: readonly ToolRequest[]
      readonly finishReason: FinishReason
      readonly usage: Usage
    }

/**
 * One vendor's model. `stream` retries what failed before the first chunk (429, 5xx, connection) with backoff, honouring
 * `retry-after`; a failure after the first chunk is thrown as `ModelError` with `kind: 'cut'`, because only the caller
 * knows what has been shown already. Aborting `request.signal` ends the call within the tick with an `AbortError`.
 */
export interface Model {
  readonly provider: 'openai' | 'anthropic'
  readonly name: string
  stream(request: ModelRequest): AsyncIterable<ModelChunk>
}

export type ModelErrorKind = 'auth' | 'rate_limit' | 'quota' | 'invalid_request' | 'network' | 'server' | 'cut'

/**
 * A vendor's failure. `message` is the reason alone; `userFailure` puts it into the words that clients see.
 * `retryable` says whether the same call may succeed later; `retryAfterMs` is the wait that the vendor asked for.
 */
export class ModelError extends Error {
  constructor(
    readonly kind: ModelErrorKind,
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions & { readonly retryAfterMs?: number },
  ) {
    super(message, options)
    this.name = 'ModelError'
    this.retryAfterMs = options?.retryAfterMs
  }
  readonly retryAfterMs: number | undefined
}
