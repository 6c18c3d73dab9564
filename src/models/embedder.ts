/**
 * What the product asks of an embedding model: vectors that lie near each other where texts mean the same.
 */
export interface Embedder {
  readonly model: string
  readonly dimensions: number
  /** One vector for each text, in order. @throws ModelError */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<readonly (readonly number[])[]>
}
