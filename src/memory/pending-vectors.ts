/**
 * Gives items their vectors that have none: what the projection wrote, and what a vendor's outage left without.
 */
import type { Embedder } from '../models/embedder.js'
import type { MemoryVectors, PendingText } from '../storage/memory-vectors.js'

const BATCH = 128
/** Ids rise with time, but clocks differ: from time to time everything is looked at again. */
const FROM_START_MS = 3_600_000

export class PendingVectors {
  readonly #vectors: MemoryVectors
  readonly #embedder: Embedder
  #after = ''
  #startedAt = performance.now()

  constructor(vectors: MemoryVectors, embedder: Embedder) {
    this.#vectors = vectors
    this.#embedder = embedder
  }

  /** Returns how many items got one; 0 when none lacks it. @throws ModelError */
  async embedSome(signal: AbortSignal): Promise<number> {
    if (performance.now() - this.#startedAt > FROM_START_MS) {
      this.#after = ''
      this.#startedAt = performance.now()
    }
    const pending = await this.#vectors.pending(this.#after, BATCH)
    const last = pending.at(-1)
    if (!last) return 0
    const made = await this.#embedder.embed(
      pending.map(({ content }) => content),
      signal,
    )
    const vectors = pending.flatMap((item, at) => (made[at] ? [{ ...item, vector: made[at] }] : []))
    for (const group of byScope(vectors)) await this.#vectors.put(group.scope, group.items)
    this.#after = last.id
    return pending.length
  }
}

type Made = PendingText & { readonly vector: readonly number[] }

function byScope(vectors: readonly Made[]) {
  const groups = new Map<string, { readonly scope: Pick<Made, 'tenant' | 'owner'>; readonly items: Made[] }>()
  for (const item of vectors) {
    const { tenant, owner } = item
    const name = JSON.stringify([tenant, owner])
    const group = groups.get(name) ?? { scope: { tenant, owner }, items: [] }
    group.items.push(item)
    groups.set(name, group)
  }
  return [...groups.values()]
}
