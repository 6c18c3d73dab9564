/**
 * A model whose calls are counted: how long they took, what they used and cost, how they failed.
 */
import type { ModelCall } from '../telemetry/metrics.js'
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
    try {
      for await (const chunk of model.stream(request)) {
        if (chunk.type === 'end') report(startedAt, chunk.usage)
        yield chunk
      }
    } catch (error) {
      if (error instanceof ModelError) report(startedAt, NOTHING, error.kind)
      throw error
    }
  }
  return { provider, name, stream }
}
