/**
 * Memory in three tiers, for agents and for programs: kept in the database, found by words and, where that is configured,
 * by meaning. One owner of a tenant has one memory; nobody else's is ever looked at.
 *
 *   scratchpad   notes of one session, an hour     namespace is the session
 *   episodic     what happened, seven days         written by the projection of events, and by notes
 *   semantic     what is true, for good            facts, each with its sources; a later one ends a former one
 */
import type { Embedder } from '../models/embedder.js'
import { ServiceError } from '../protocol/errors.js'
import type { MemoryRow, MemoryScope, MemorySource, NewMemory } from '../storage/memory-item.js'
import type { MemoryItems } from '../storage/memory-items.js'
import type { MemoryHit, MemorySearch } from '../storage/memory-search.js'
import type { MemoryVectors } from '../storage/memory-vectors.js'
import type { KeptMemory } from '../storage/memory-writes.js'
import type { MemoryKind, MemoryTier } from '../storage/schema.js'
import { fuse, fuseByCoverage } from './fusion.js'
import { identityOf, placeOf } from './identity.js'
import { MAX_CONTENT_CHARS, MAX_NAME_CHARS, MAX_RESULTS, TIER_LIFE_MS } from './limits.js'

export interface Holder extends MemoryScope {
  readonly sessionId?: string | undefined
  readonly orchestratorId?: string | undefined
  /** The namespace of what names none: others of it are not looked at then. */
  readonly memoryProfile?: string | undefined
}

export interface Note {
  readonly content: string
  readonly tier?: MemoryTier | undefined
  readonly kind?: MemoryKind | undefined
  readonly namespace?: string | undefined
  readonly key?: string | undefined
  readonly tags?: readonly string[] | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly ttlMs?: number | undefined
  /** Default now. */
  readonly validFrom?: Date | undefined
  readonly sources?: readonly MemorySource[] | undefined
  /** Makes it the same as an earlier one where its text and place do not. */
  readonly identity?: string | undefined
}

export interface Question {
  readonly query: string
  readonly tiers?: readonly MemoryTier[] | undefined
  readonly namespace?: string | undefined
  readonly sessionId?: string | undefined
  readonly exceptSessionId?: string | undefined
  readonly limit?: number | undefined
  readonly minScore?: number | undefined
  /** Of the question, where the asker has it. */
  readonly embedding?: readonly number[] | undefined
  readonly textWeight?: number | undefined
  readonly vectorWeight?: number | undefined
}

export interface Recalled {
  readonly id: string
  readonly tier: MemoryTier
  readonly kind: MemoryKind
  readonly namespace: string
  readonly key: string | undefined
  readonly content: string
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly score: number
  readonly validFrom: string
  readonly validTo: string | undefined
  readonly sessionId: string | undefined
}

export type Place =
  | { readonly id: string }
  | { readonly key: string; readonly namespace?: string | undefined; readonly tier?: MemoryTier | undefined }

export interface MemoryMeter {
  searched(tier: string, orchestratorId: string, seconds: number): void
}

export interface MemoryParts {
  readonly items: MemoryItems
  readonly search: MemorySearch
  /** Both, or neither: without them full text is all there is. */
  readonly vectors?: MemoryVectors | undefined
  readonly embedder?: Embedder | undefined
  readonly meter?: MemoryMeter | undefined
  readonly now: () => Date
  /** Waits through a short outage of the database. @throws ServiceError `unavailable` */
  readonly patiently: <T>(ask: () => Promise<T>) => Promise<T>
  /** Told why a vector could not be had; words are enough until it can. */
  readonly onEmbeddingFailed?: (error: unknown) => void
}

/** Of each ranking that is fused. */
const MAX_HITS = 50
const SEARCHED_TIERS: readonly MemoryTier[] = ['episodic', 'semantic']
/** Words are judged more reliable: they are what was said. */
export const TEXT_WEIGHT = 0.6
export const VECTOR_WEIGHT = 0.4
/** A search that waits longer for its vector does without. */
const EMBED_TIMEOUT_MS = 3_000

export class Memory {
  readonly #parts: MemoryParts

  constructor(parts: MemoryParts) {
    this.#parts = parts
  }

  /** Whether meanings are looked at, beside words. */
  get isHybrid(): boolean {
    return this.#parts.vectors !== undefined
  }

  async store(holder: Holder, note: Note): Promise<{ readonly id: string; readonly replaced: readonly string[] }> {
    const [kept] = await this.storeAll(holder, [note])
    if (!kept) throw new Error('a note was neither kept nor refused')
    return { id: kept.id, replaced: kept.replaced }
  }

  /** All or none, in their order. @throws ServiceError `invalid_payload` for a note that is too long */
  async storeAll(holder: Holder, notes: readonly Note[]): Promise<readonly KeptMemory[]> {
    const now = this.#parts.now()
    const items = notes.map((note) => itemOf(holder, note, now))
    const kept = await this.#parts.patiently(() => this.#parts.items.put(holder, items))
    const fresh = kept.flatMap(({ id, isNew }, at) => (isNew ? [{ id, content: items[at]?.content ?? '' }] : []))
    await this.#embed(holder, fresh)
    return kept
  }

  async search(holder: Holder, question: Question): Promise<readonly Recalled[]> {
    const startedAt = performance.now()
    const limit = Math.min(question.limit ?? MAX_RESULTS, MAX_RESULTS)
    const hits = await this.#parts.patiently(() => this.#hits(holder, question))
    const best = hits.filter(({ score }) => score >= (question.minScore ?? 0)).slice(0, limit)
    const rows = await this.#parts.patiently(() =>
      this.#parts.items.list(
        holder,
        best.map(({ id }) => id),
      ),
    )
    const byId = new Map(rows.map((row) => [row.id, row]))
    const tier = question.tiers?.length === 1 ? question.tiers[0] : undefined
    const seconds = (performance.now() - startedAt) / 1_000
    this.#parts.meter?.searched(tier ?? 'all', holder.orchestratorId ?? 'default', seconds)
    return best.flatMap(({ id, score }) => {
      const row = byId.get(id)
      return row ? [recalled(row, score)] : []
    })
  }

  async find(holder: Holder, place: Place): Promise<Recalled | undefined> {
    const { items, patiently } = this.#parts
    const row = await patiently(() =>
      'id' in place ? items.find(holder, place.id) : items.findCurrent(holder, placeOf(holder, place)),
    )
    return row && recalled(row, 1)
  }

  /** What was true before at a place, newest first. */
  async former(holder: Holder, place: Exclude<Place, { readonly id: string }>): Promise<readonly Recalled[]> {
    const { items, patiently } = this.#parts
    const rows = await patiently(() => items.former(holder, placeOf(holder, place), MAX_RESULTS))
    return rows.map((row) => recalled(row, 1))
  }

  async sourcesOf(holder: Holder, id: string): Promise<readonly MemorySource[]> {
    return this.#parts.patiently(() => this.#parts.items.sourcesOf(holder, id))
  }

  /** Returns how many are gone; those that stood at the place before go too. Without a tier, in all of them. */
  async forget(holder: Holder, place: Place): Promise<number> {
    const { items, patiently } = this.#parts
    if ('id' in place) return patiently(() => items.forget(holder, place))
    const tiers: readonly MemoryTier[] = place.tier ? [place.tier] : ['scratchpad', 'episodic', 'semantic']
    let gone = 0
    for (const tier of tiers) {
      gone += await patiently(() => items.forget(holder, { identity: placeOf(holder, { ...place, tier }) }))
    }
    return gone
  }

  async #hits(holder: Holder, question: Question) {
    const { search, vectors } = this.#parts
    const { namespace, sessionId, exceptSessionId, textWeight, vectorWeight } = question
    const tiers = question.tiers ?? SEARCHED_TIERS
    const profile = namespace === undefined ? holder.memoryProfile : undefined
    const filter = { tiers, namespace, profile, sessionId, exceptSessionId }
    const words = search.byWords(holder, question.query, filter, MAX_HITS)
    const meanings = async (): Promise<readonly MemoryHit[]> => {
      const vector = question.embedding ?? (await this.#vectorOf(question.query))
      return vector && vectors ? vectors.nearest(holder, vector, filter, MAX_HITS) : []
    }
    const [byWords, byMeaning] = await Promise.all([words, meanings()])
    const ranking = { hits: byWords, weight: textWeight ?? TEXT_WEIGHT }
    if (byMeaning.length === 0) return fuse([ranking])
    return fuseByCoverage(ranking, { hits: byMeaning, weight: vectorWeight ?? VECTOR_WEIGHT })
  }

  async #vectorOf(query: string): Promise<readonly number[] | undefined> {
    const { vectors, embedder, onEmbeddingFailed } = this.#parts
    if (!vectors || !embedder) return undefined
    try {
      return (await embedder.embed([query], AbortSignal.timeout(EMBED_TIMEOUT_MS)))[0]
    } catch (error) {
      onEmbeddingFailed?.(error)
      return undefined
    }
  }

  /** Without a vector an item is found by its words; a job makes up for it. */
  async #embed(scope: MemoryScope, items: readonly { readonly id: string; readonly content: string }[]): Promise<void> {
    const { vectors, embedder, onEmbeddingFailed } = this.#parts
    if (!vectors || !embedder || items.length === 0) return
    try {
      const made = await embedder.embed(items.map(({ content }) => content))
      await vectors.put(
        scope,
        items.flatMap(({ id }, at) => (made[at] ? [{ id, vector: made[at] }] : [])),
      )
    } catch (error) {
      onEmbeddingFailed?.(error)
    }
  }
}

function itemOf(holder: Holder, note: Note, now: Date): NewMemory {
  const { content, key, tags, metadata, sources } = note
  const tier = note.tier ?? 'semantic'
  const tooLong = content.length > MAX_CONTENT_CHARS || (key?.length ?? 0) > MAX_NAME_CHARS
  if (tooLong || content === '') {
    const reason = `a note has 1 to ${MAX_CONTENT_CHARS} characters, and its key at most ${MAX_NAME_CHARS}`
    throw new ServiceError('invalid_payload', { reason })
  }
  const life = note.ttlMs ?? TIER_LIFE_MS[tier]
  const { namespace, identity } = identityOf(holder, { ...note, tier })
  const validFrom = note.validFrom ?? now
  return {
    ...{ tier, namespace, identity, content, key, tags, metadata, sources, validFrom },
    kind: note.kind ?? (tier === 'semantic' ? 'knowledge' : 'observation'),
    orchestratorId: holder.orchestratorId ?? 'default',
    sessionId: holder.sessionId,
    expiresAt: life === undefined ? undefined : new Date(now.getTime() + life),
  }
}

const recalled = (row: MemoryRow, score: number): Recalled => ({
  id: row.id,
  tier: row.tier,
  kind: row.kind,
  namespace: row.namespace,
  key: row.key ?? undefined,
  content: row.content,
  tags: row.tags,
  metadata: row.metadata,
  score,
  validFrom: row.validFrom.toISOString(),
  validTo: row.validTo?.toISOString(),
  sessionId: row.sessionId ?? undefined,
})
