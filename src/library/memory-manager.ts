/**
 * Memory for a program, in three tiers: notes of a session, what happened, and what is true. The same store as the service
 * uses: given its database, a program reads what agents have noted, and the other way round.
 */
import { FORMER_LIFE_MS, TIER_BYTES } from '../memory/limits.js'
import type { Holder } from '../memory/memory.js'
import type { MemoryTier } from '../storage/schema.js'
import {
  entryOf,
  foundEntry,
  type MemoryEntry,
  type MemoryEntryInput,
  noteOf,
  noteOfTurn,
  readEntry,
  type TranscriptTurn,
} from './memory-entry.js'
import { allEntries, type MemoryContext, type MemorySnapshot, scratchpadOf } from './memory-snapshot.js'
import { type MemoryStore, type MemoryStoreOptions, openMemoryStore } from './memory-store.js'
import { sumUp } from './memory-summaries.js'

export interface MemoryManagerOptions extends MemoryStoreOptions {
  /** Whose memory it is; default that of a service without credentials. */
  readonly tenant?: string
  readonly owner?: string
  readonly orchestratorId?: string
}

export interface HybridSearchOptions {
  readonly maxResults?: number
  readonly minScore?: number
  readonly tiers?: readonly MemoryTier[]
  readonly queryEmbedding?: readonly number[]
  readonly vectorWeight?: number
  readonly textWeight?: number
  readonly sessionId?: string
}

export interface Compaction {
  /** Ids of the summaries that were made. */
  readonly summaries: readonly string[]
  /** How many entries are gone. */
  readonly forgotten: number
}

const TIERS: readonly MemoryTier[] = ['scratchpad', 'episodic', 'semantic']
const LOCAL = 'local'
const PURGE = 1_000
const DEFAULT_RESULTS = 20

export class MemoryManager {
  readonly #options: MemoryManagerOptions
  #opening: Promise<MemoryStore> | undefined
  readonly #closing = new AbortController()

  /** Opens nothing yet: that is for the first call. */
  constructor(options: MemoryManagerOptions = {}) {
    this.#options = options
  }

  /** Keeps a value for an hour, for one session. */
  async storeScratchpad(sessionId: string, key: string, value: unknown): Promise<void> {
    const { memory } = await this.#store()
    const content = JSON.stringify(value) ?? 'null'
    await memory.store(this.#holder(sessionId), { content, key, tier: 'scratchpad' })
  }

  /** The value of a key, or all of a session as an object. */
  async retrieveScratchpad(sessionId: string, key?: string): Promise<unknown> {
    const { memory, items } = await this.#store()
    if (key === undefined) return scratchpadOf(items, this.#holder(), sessionId)
    const found = await memory.find(this.#holder(sessionId), { key, tier: 'scratchpad' })
    return found && (JSON.parse(found.content) as unknown)
  }

  async clearScratchpad(sessionId: string): Promise<void> {
    const { items } = await this.#store()
    await items.clear(this.#holder(), 'scratchpad', sessionId)
  }

  /** What happened; kept for seven days. Returns its id. */
  addEpisodic(content: string, entry: Omit<MemoryEntryInput, 'content' | 'tier'> = {}): Promise<string> {
    return this.#add({ type: 'interaction', ...entry, content, tier: 'episodic' })
  }

  /** What is true, for good. Returns its id. */
  addSemantic(content: string, entry: Omit<MemoryEntryInput, 'content' | 'tier'> = {}): Promise<string> {
    return this.#add({ ...entry, content, tier: 'semantic' })
  }

  /** The best matches of one tier; without words its newest entries. */
  async retrieve(
    query: string,
    tier: MemoryTier = 'semantic',
    limit = DEFAULT_RESULTS,
  ): Promise<readonly MemoryEntry[]> {
    const { items } = await this.#store()
    if (query.trim() !== '') return this.hybridSearch(query, { tiers: [tier], maxResults: limit })
    return (await items.newest(this.#holder(), tier, limit)).map(entryOf)
  }

  /** By words, and by meaning where there are embeddings; best first. */
  async hybridSearch(query: string, options: HybridSearchOptions = {}): Promise<readonly MemoryEntry[]> {
    const { memory } = await this.#store()
    const { maxResults: limit = DEFAULT_RESULTS, minScore, tiers, sessionId } = options
    const { queryEmbedding: embedding, vectorWeight, textWeight } = options
    const question = { query, limit, minScore, tiers, sessionId, embedding, vectorWeight, textWeight }
    return (await memory.search(this.#holder(), question)).map(foundEntry)
  }

  /** All of them or none; the same entry once more is the same one. Returns their ids, in order. */
  async batchUpsert(entries: readonly MemoryEntryInput[]): Promise<readonly string[]> {
    const { memory } = await this.#store()
    const ids: string[] = []
    for (const sessionId of new Set(entries.map((entry) => entry.sessionId))) {
      const wanted = entries.flatMap((entry, at) => (entry.sessionId === sessionId ? [{ entry, at }] : []))
      const notes = wanted.map(({ entry }) => noteOf(entry))
      const kept = await memory.storeAll(this.#holder(sessionId), notes)
      kept.forEach(({ id }, n) => {
        ids[wanted[n]?.at ?? 0] = id
      })
    }
    return ids
  }

  /** Turns that are there already are left alone, by their number. Returns how many are new. */
  async indexSessionTranscript(sessionId: string, turns: readonly TranscriptTurn[]): Promise<number> {
    const { memory } = await this.#store()
    const notes = turns.filter(({ content }) => content !== '').map((turn) => noteOfTurn(sessionId, turn))
    return (await memory.storeAll(this.#holder(sessionId), notes)).filter(({ isNew }) => isNew).length
  }

  /**
   * Sums up what happened, all but the newest of it, where the options name a model; then forgets what is over, what was
   * replaced long ago, and what is more than a tier may hold. What was summed up stays where it is: `originalsOf` finds it.
   * @throws ServiceError `model_*` when the vendor fails; what was summed up before that is kept
   */
  async runCompaction(): Promise<Compaction> {
    const { items, memory, summaries: model, retention, vectors } = await this.#store()
    const { signal } = this.#closing
    const parts = { items, memory, signal, keptMs: FORMER_LIFE_MS }
    const summaries = model ? await sumUp(this.#holder(), { ...parts, model: await model() }) : []
    let forgotten = 0
    const all = async (purge: () => Promise<number>) => {
      for (let gone = await purge(); gone > 0; gone = await purge()) forgotten += gone
    }
    await all(() => retention.purgeExpired(PURGE))
    await all(() => retention.purgeFormer(FORMER_LIFE_MS, PURGE))
    for (const tier of TIERS) await all(() => retention.purgeBeyond(tier, TIER_BYTES[tier], PURGE))
    await retention.refreshStatistics()
    await vectors?.refreshStatistics()
    return { summaries, forgotten }
  }

  /** What a summary, or a fact in one, was made of, oldest first, as far as it is still remembered. */
  async originalsOf(id: string): Promise<readonly MemoryEntry[]> {
    const { items } = await this.#store()
    return (await items.originalsOf(this.#holder(), id)).map(entryOf)
  }

  async getEntryById(id: string): Promise<MemoryEntry | undefined> {
    const { memory } = await this.#store()
    const found = await memory.find(this.#holder(), { id })
    return found && readEntry(found)
  }

  async deleteEntry(id: string): Promise<boolean> {
    const { memory } = await this.#store()
    return (await memory.forget(this.#holder(), { id })) > 0
  }

  /** Gives an entry a vector that the program has made itself. @throws Error without `embeddings` in the options */
  async storeEmbedding(id: string, vector: readonly number[]): Promise<void> {
    const { vectors, warning } = await this.#store()
    if (!vectors) throw new Error(`There is no search by meaning: ${warning ?? 'set embeddings in the options'}`)
    await vectors.put(this.#holder(), [{ id, vector }])
  }

  async getStats(): Promise<Readonly<Record<MemoryTier, { readonly entries: number; readonly bytes: number }>>> {
    const { items } = await this.#store()
    const stats = Object.fromEntries(TIERS.map((tier) => [tier, { entries: 0, bytes: 0 }])) as Record<
      MemoryTier,
      { entries: number; bytes: number }
    >
    for (const { tier, items: entries, bytes } of await items.totals(this.#holder())) {
      stats[tier] = { entries: stats[tier].entries + entries, bytes: stats[tier].bytes + bytes }
    }
    return stats
  }

  async getHealthReport(): Promise<{
    readonly healthy: boolean
    readonly hybrid: boolean
    readonly warnings: string[]
  }> {
    const { database, memory, warning } = await this.#store()
    const down = await database.ping().then(
      () => undefined,
      (error: unknown) => String(error),
    )
    const warnings = [down, warning].filter((text) => text !== undefined)
    return { healthy: down === undefined, hybrid: memory.isHybrid, warnings }
  }

  /** What belongs to a session. */
  async exportContext(sessionId: string): Promise<MemoryContext> {
    const { items } = await this.#store()
    const holder = this.#holder()
    const [scratchpad, episodic, semantic] = await Promise.all([
      scratchpadOf(items, holder, sessionId),
      allEntries(items, holder, { tiers: ['episodic'], sessionId }),
      allEntries(items, holder, { tiers: ['semantic'], sessionId }),
    ])
    return { scratchpad, episodic, semantic }
  }

  async importContext(sessionId: string, { scratchpad, episodic, semantic }: MemoryContext): Promise<void> {
    for (const [key, value] of Object.entries(scratchpad)) await this.storeScratchpad(sessionId, key, value)
    await this.batchUpsert([...episodic, ...semantic].map((entry) => ({ ...entry, sessionId })))
  }

  /** Everything that is valid. */
  async exportSnapshot(): Promise<MemorySnapshot> {
    const { items } = await this.#store()
    return { version: 1, entries: await allEntries(items, this.#holder(), { tiers: TIERS }) }
  }

  /** Adds a snapshot; entries that are there already stay as they are. Returns how many there were in it. */
  async importSnapshot(snapshot: MemorySnapshot): Promise<number> {
    if (snapshot.version !== 1) throw new Error(`A snapshot of version 1 was expected, not ${String(snapshot.version)}`)
    await this.batchUpsert(snapshot.entries)
    return snapshot.entries.length
  }

  /** May be called twice; later calls of anything else fail. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('The memory is closed'))
    await (await this.#opening)?.database.close()
  }

  async #add(entry: MemoryEntryInput): Promise<string> {
    const { memory } = await this.#store()
    return (await memory.store(this.#holder(entry.sessionId), noteOf(entry))).id
  }

  #holder(sessionId?: string): Holder {
    const { tenant = LOCAL, owner = LOCAL, orchestratorId } = this.#options
    return { tenant, owner, orchestratorId, sessionId }
  }

  #store(): Promise<MemoryStore> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason)
    this.#opening ??= openMemoryStore(this.#options)
    return this.#opening
  }
}
