/**
 * A model call in traces, by the conventions of OpenTelemetry for generative AI. What was asked and answered is not told.
 */
import type { Span, SpanEnd, Trace } from '../telemetry/tracing.js'
import type { Model, ModelChunk, Usage } from './model.js'

export interface TracedCall {
  readonly provider: Model['provider']
  readonly name: string
  readonly maxTokens?: number
  /** By the monotonic clock; default now. */
  readonly startedAt?: number
}

export function chatSpan(trace: Trace, { provider, name, maxTokens, startedAt }: TracedCall): Span {
  const attributes = {
    ...{ 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': provider, 'gen_ai.request.model': name },
    'gen_ai.request.max_tokens': maxTokens,
  }
  return trace.child(`chat ${name}`, { kind: 'client', attributes, ...(startedAt !== undefined && { startedAt }) })
}

export const chatEnd = ({
  usage,
  finishReason,
}: Pick<Extract<ModelChunk, { type: 'end' }>, 'usage' | 'finishReason'>): SpanEnd => ({
  attributes: { ...usedTokens(usage), 'gen_ai.response.finish_reasons': [finishReason] },
})

const usedTokens = ({ promptTokens, completionTokens, cachedTokens }: Usage) => ({
  'gen_ai.usage.input_tokens': promptTokens,
  'gen_ai.usage.output_tokens': completionTokens,
  'gen_ai.usage.cache_read.input_tokens': cachedTokens,
})
