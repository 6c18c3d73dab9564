/**
 * An item of memory, as it is handed in and as it is read.
 */
import type { MemoryKind, MemoryTier } from './schema.js'

/** Whose memory: one owner in a tenant. */
export interface MemoryScope {
  readonly tenant: string
  readonly owner: string
}

/** A step of a session that an item comes from, and its event where that is known. */
export interface MemorySource {
  readonly sessionId: string
  readonly ref: string
  readonly epoch?: number | undefined
  readonly seq?: number | undefined
}

export interface NewMemory {
  readonly tier: MemoryTier
  readonly kind: MemoryKind
  readonly namespace: string
  readonly key?: string | undefined
  /** What makes another item the same one; see `memory-identity`. */
  readonly identity: string
  readonly content: string
  readonly tags?: readonly string[] | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly orchestratorId: string
  readonly sessionId?: string | undefined
  readonly validFrom: Date
  readonly expiresAt?: Date | undefined
  readonly sources?: readonly MemorySource[] | undefined
}

export interface MemoryRow {
  readonly id: string
  readonly tier: MemoryTier
  readonly kind: MemoryKind
  readonly namespace: string
  readonly key: string | null
  readonly content: string
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly orchestratorId: string
  readonly sessionId: string | null
  readonly validFrom: Date
  readonly validTo: Date | null
  readonly expiresAt: Date | null
}

export interface TierTotals {
  readonly tier: MemoryTier
  readonly orchestratorId: string
  readonly items: number
  readonly bytes: number
}
