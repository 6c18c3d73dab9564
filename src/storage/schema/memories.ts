/**
 * Tables of what is remembered.
 */
import type { ColumnType, Generated } from 'kysely'
import type { FilledTimestamp, NullableTimestamp, Timestamp } from './columns.js'

export type MemoryTier = 'scratchpad' | 'episodic' | 'semantic'

export type MemoryKind = 'interaction' | 'observation' | 'decision' | 'knowledge'

export interface MemoryItemsTable {
  id: string
  tenant: string
  owner: string
  orchestrator_id: string
  session_id: string | null
  tier: MemoryTier
  kind: MemoryKind
  namespace: string
  key: string | null
  identity: string
  content_hash: string
  content: string
  tags: Generated<string[]>
  metadata: ColumnType<Record<string, unknown>, string | undefined, string>
  words: string
  word_count: number
  bytes: number
  valid_from: Timestamp
  valid_to: NullableTimestamp
  expires_at: NullableTimestamp
  created_at: FilledTimestamp
}
