/**
 * What an agent remembers beyond its conversation, as runtimes see it; `memory/` stands behind it. Every session type uses
 * this one interface: the `llm` loop through the memory tools, runtimes with agents of their own through tools of theirs.
 */

/** `scratchpad` one session's notes, for an hour · `episodic` what happened, seven days · `semantic` what is true, for good. */
export const MEMORY_TIERS = ['scratchpad', 'episodic', 'semantic'] as const
export type MemoryTier = (typeof MEMORY_TIERS)[number]

/** Where notes go that name no place. */
export const DEFAULT_NAMESPACE = 'default'

export const MAX_MEMORY_CHARS = 16_000
export const MAX_MEMORY_NAME_CHARS = 200
export const MAX_MEMORY_TAGS = 16
export const MAX_MEMORY_RESULTS = 50

/** Whose memory it is: sessions of one owner in a tenant share it, and nobody else sees it. A `Turn` is one. */
export interface MemoryHolder {
  readonly tenant: string
  /** The subject whose session it is. */
  readonly owner: string
  readonly sessionId: string
  readonly orchestratorId: string
  /** Where notes go, and are looked for, that name no place. */
  readonly memoryProfile?: string | undefined
}

export interface MemoryNote {
  readonly content: string
  /** Default `semantic`. */
  readonly tier?: MemoryTier
  /** Keeps notes of one kind apart, such as those of one swarm. */
  readonly namespace?: string
  /** What the note is about. A later note of the same tier, namespace and key takes its place: the former ends to be valid. */
  readonly key?: string
  readonly tags?: readonly string[]
  /** Forgotten after this time; default that of its tier. */
  readonly ttlMs?: number
}

export interface KeptNote {
  readonly id: string
  /** The notes that are not valid any more because of this one. */
  readonly replaced: readonly string[]
}

export interface MemoryQuestion {
  readonly query: string
  /** All namespaces when left out. */
  readonly namespace?: string
  /** Default episodic and semantic. */
  readonly tiers?: readonly MemoryTier[]
  readonly limit?: number
  /** From 0 to 1, where 1 is first in everything that was asked. */
  readonly minScore?: number
}

export interface RecalledNote {
  readonly id: string
  readonly tier: MemoryTier
  readonly namespace: string
  readonly key: string | undefined
  readonly content: string
  readonly tags: readonly string[]
  readonly score: number
  /** When it began to be true, or happened; ISO 8601. */
  readonly validFrom: string
  /** The session that it comes from. */
  readonly sessionId: string | undefined
}

export type MemoryPlace =
  | { readonly id: string }
  | { readonly key: string; readonly namespace?: string; readonly tier?: MemoryTier }

export interface AgentMemory {
  /** Storing the same once more changes nothing and returns the same id. All throw ServiceError `unavailable`. */
  store(holder: MemoryHolder, note: MemoryNote): Promise<KeptNote>
  /** Best first. */
  search(holder: MemoryHolder, question: MemoryQuestion): Promise<readonly RecalledNote[]>
  /** The valid note of a place. */
  find(holder: MemoryHolder, place: MemoryPlace): Promise<RecalledNote | undefined>
  /** Returns how many notes are gone, former ones of the same place included. */
  forget(holder: MemoryHolder, place: MemoryPlace): Promise<number>
}
