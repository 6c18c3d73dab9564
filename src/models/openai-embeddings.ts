/**
 * OpenAI's embeddings, and every server that speaks them: set a base URL.
 */
import OpenAI from 'openai'
import type { Embedder } from './embedder.js'
import { modelErrorOf } from './failure.js'
import { ModelError } from './model.js'

const OFFICIAL_URL = 'https://api.openai.com/v1'
const TIMEOUT_MS = 20_000
/** The SDK's own: a search that waits for one falls back to words long before. */
const RETRIES = 2
/** Of one request; vendors take at least this many. */
const MAX_BATCH = 128
/** About 8,000 tokens, the most that OpenAI's models take. */
const MAX_CHARS = 24_000

export interface OpenAiEmbedderSettings {
  readonly model: string
  readonly dimensions: number
  readonly apiKey?: string | undefined
  readonly baseUrl?: string | undefined
  readonly orgId?: string | undefined
}

export class OpenAiEmbedder implements Embedder {
  readonly model: string
  readonly dimensions: number
  readonly #client: OpenAI

  constructor({ model, dimensions, apiKey, baseUrl, orgId }: OpenAiEmbedderSettings) {
    this.model = model
    this.dimensions = dimensions
    this.#client = new OpenAI({
      apiKey: apiKey ?? 'none',
      baseURL: baseUrl ?? OFFICIAL_URL,
      organization: orgId ?? null,
      project: null,
      maxRetries: RETRIES,
      timeout: TIMEOUT_MS,
      logLevel: 'off',
    })
  }

  async embed(texts: readonly string[], signal?: AbortSignal): Promise<readonly (readonly number[])[]> {
    const vectors: (readonly number[])[] = []
    for (let from = 0; from < texts.length; from += MAX_BATCH) {
      vectors.push(...(await this.#batch(texts.slice(from, from + MAX_BATCH), signal)))
    }
    return vectors
  }

  async #batch(texts: readonly string[], signal: AbortSignal | undefined): Promise<readonly (readonly number[])[]> {
    // The API refuses an empty text.
    const input = texts.map((text) => text.slice(0, MAX_CHARS) || ' ')
    try {
      // Floats are asked for: with the SDK's default, base64, servers that send floats all the same are misread.
      const body = { model: this.model, input, encoding_format: 'float', ...this.#chosenSize() } as const
      const { data } = await this.#client.embeddings.create(body, signal ? { signal } : {})
      return data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => this.#checked(embedding))
    } catch (error) {
      signal?.throwIfAborted()
      throw modelErrorOf(error, this.#client.apiKey ?? undefined)
    }
  }

  /** Only these models can be told how long a vector is to be. */
  #chosenSize(): { dimensions?: number } {
    return this.model.startsWith('text-embedding-3') ? { dimensions: this.dimensions } : {}
  }

  #checked(vector: readonly number[]): readonly number[] {
    if (vector.length === this.dimensions) return vector
    const sentence = `${this.model} gives vectors of ${vector.length} numbers; set MEMORY_EMBEDDING_DIMENSIONS to that`
    throw new ModelError('invalid_request', sentence, false)
  }
}
