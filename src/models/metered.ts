/**
 * A model whose calls are counted, and shown in traces: how long they took, what they used and cost, how they failed.
 */
import type { ModelCall } from '../telemetry/metrics.js'
import { chatEnd, chatSpan } from './chat-span.js'
import { type Model, type ModelChunk, ModelError, type ModelRequest, type Usage } from './model.js'

export interface MeteringOptions {
  readonly costOf: (model: string, usage: Usage) => number
  /** Told once for each call that reached its end or failed; an aborted call is neither. */
  readonly onCall: (call: ModelCall) => void
}

const NOTHING: Usage = { promptTokens: 0, completionTokens: 0 }

export function metered(model: Model, { costOf, onCall }: MeteringOptions): Model {
  const { provider, name } = model
  const report = (startedAt: number, usage: Usage, error?: string) =>
    onCall({
      provider,
      model: name,
      seconds: (performance.now() - startedAt) / 1_000,
      ...usage,
      costDollars: costOf(name, usage),
      ...(error !== undefined && { error }),
    })
  async function* stream(request: ModelRequest): AsyncGenerator<ModelChunk, void, undefined> {
    const startedAt = performance.now()
    const span = request.trace && chatSpan(request.trace, { provider, name, maxTokens: request.maxTokens })
    try {
      for await (const chunk of model.stream(request)) {
        if (chunk.type === 'end') {
          report(startedAt, chunk.usage)
          span?.end(chatEnd(chunk))
        }
        yield chunk
      }
    } catch (error) {
      if (error instanceof ModelError) report(startedAt, NOTHING, error.kind)
      span?.end({ error: error instanceof ModelError ? error.kind : 'aborted' })
      throw error
    } finally {
      // Whoever reads may stop reading.
      span?.end({ error: 'aborted' })
    }
  }
  return { provider, name, stream }
}
