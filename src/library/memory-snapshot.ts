/**
 * A memory, or what of it belongs to one session, as a whole: to be carried elsewhere.
 */
import type { Holder } from '../memory/memory.js'
import type { MemoryItems } from '../storage/memory-items.js'
import type { MemoryTier } from '../storage/schema.js'
import { entryOf, type MemoryEntry } from './memory-entry.js'

export interface MemoryContext {
  readonly scratchpad: Readonly<Record<string, unknown>>
  readonly episodic: readonly MemoryEntry[]
  readonly semantic: readonly MemoryEntry[]
}

export interface MemorySnapshot {
  readonly version: 1
  readonly entries: readonly MemoryEntry[]
}

/** Rows of one statement. */
const PAGE = 500

/** Everything that is valid. */
export async function allEntries(
  items: MemoryItems,
  holder: Holder,
  filter: { readonly tiers: readonly MemoryTier[]; readonly sessionId?: string },
): Promise<readonly MemoryEntry[]> {
  const all: MemoryEntry[] = []
  for (let after = ''; ; ) {
    const rows = await items.page(holder, filter, after, PAGE)
    all.push(...rows.map(entryOf))
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return all
    after = last.id
  }
}

/** The notes of a session, by their keys. */
export async function scratchpadOf(
  items: MemoryItems,
  holder: Holder,
  sessionId: string,
): Promise<Record<string, unknown>> {
  const rows = await items.page(holder, { tiers: ['scratchpad'], namespace: sessionId }, '', PAGE)
  return Object.fromEntries(rows.map(({ key, content }) => [key ?? '', JSON.parse(content) as unknown]))
}
