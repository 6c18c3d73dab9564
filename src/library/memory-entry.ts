/**
 * Entries of a program's memory, as it gives and gets them.
 */
import type { Note, Recalled } from '../memory/memory.js'
import type { MemoryRow } from '../storage/memory-item.js'
import type { MemoryKind, MemoryTier } from '../storage/schema.js'

export interface MemoryEntry {
  readonly id: string
  readonly content: string
  /** ISO 8601: when it happened, or began to be true. */
  readonly timestamp: string
  readonly type: MemoryKind
  readonly tier: MemoryTier
  readonly metadata: Readonly<Record<string, unknown>>
  readonly key?: string
  readonly sessionId?: string
  /** Of a search, from 0 to 1. */
  readonly score?: number
}

export interface MemoryEntryInput {
  readonly content: string
  readonly type?: MemoryKind
  readonly tier?: MemoryTier
  /** A later entry of a key takes the place of the former one. */
  readonly key?: string
  readonly timestamp?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly tags?: readonly string[]
  readonly sessionId?: string
  readonly ttlMs?: number
}

export interface TranscriptTurn {
  readonly turnNumber: number
  readonly role: string
  readonly content: string
  readonly timestamp?: string
}

export const noteOf = ({ content, type, tier, key, timestamp, metadata, tags, ttlMs }: MemoryEntryInput): Note => ({
  ...{ content, kind: type, tier, key, metadata, tags, ttlMs },
  ...(timestamp !== undefined && { validFrom: new Date(timestamp) }),
})

/** The same turn of a session once more is the same entry. */
export const noteOfTurn = (sessionId: string, { turnNumber, role, content, timestamp }: TranscriptTurn): Note => ({
  ...{ content, tier: 'episodic', kind: 'interaction', metadata: { turnNumber, role } },
  key: `${sessionId}#${turnNumber}`,
  ...(timestamp !== undefined && { validFrom: new Date(timestamp) }),
})

/** What a search found. */
export const foundEntry = (found: Recalled): MemoryEntry => ({ ...readEntry(found), score: found.score })

/** What is read by its place. */
export const readEntry = (found: Recalled): MemoryEntry => ({
  ...{ id: found.id, content: found.content, timestamp: found.validFrom, type: found.kind, tier: found.tier },
  metadata: found.metadata,
  ...(found.key !== undefined && { key: found.key }),
  ...(found.sessionId !== undefined && { sessionId: found.sessionId }),
})

export const entryOf = (row: MemoryRow): MemoryEntry => ({
  ...{ id: row.id, content: row.content, timestamp: row.validFrom.toISOString(), type: row.kind, tier: row.tier },
  metadata: row.metadata,
  ...(row.key !== null && { key: row.key }),
  ...(row.sessionId !== null && { sessionId: row.sessionId }),
})
