/**
 * memory_store, memory_search and memory_forget: what an agent keeps for later sessions.
 */
import { z } from 'zod'
import {
  type AgentMemory,
  MAX_MEMORY_CHARS,
  MAX_MEMORY_NAME_CHARS,
  MAX_MEMORY_RESULTS,
  MAX_MEMORY_TAGS,
  MEMORY_TIERS,
  type RecalledNote,
} from '../agent-memory.js'
import { defineTool, type Tool, ToolFailure } from './tool.js'

const MAX_QUERY_CHARS = 2_000
const DEFAULT_RESULTS = 10
/** A note that is recalled crowds the context like anything else. */
const SHOWN_CHARS = 4_000
const MAX_TTL_SECONDS = 365 * 86_400
const MS_PER_SECOND = 1_000

const nameSchema = z.string().min(1).max(MAX_MEMORY_NAME_CHARS)
const tierSchema = z.enum(MEMORY_TIERS)

export const memoryTools = (memory: AgentMemory): readonly Tool[] => [
  memoryStore(memory),
  memorySearch(memory),
  memoryForget(memory),
]

const memoryStore = (memory: AgentMemory): Tool =>
  defineTool({
    name: 'memory_store',
    description:
      'Keeps a note for later, also for other sessions: one fact in one self-contained sentence. Give it a key (what it is about, such as "deploy target") and a later note of that key replaces it.',
    input: z.object({
      content: z.string().min(1).max(MAX_MEMORY_CHARS),
      key: nameSchema.optional(),
      tier: tierSchema
        .default('semantic')
        .describe('semantic: true for good; episodic: for seven days; scratchpad: for this session'),
      namespace: nameSchema.optional(),
      tags: z.array(nameSchema).max(MAX_MEMORY_TAGS).optional(),
      ttlSeconds: z.number().int().min(1).max(MAX_TTL_SECONDS).optional(),
    }),
    shared: 'memory',
    // The same note once more is the same note.
    effect: () => 'idempotent',
    async run({ content, key, tier, namespace, tags, ttlSeconds }, holder) {
      const kept = await memory.store(holder, {
        content,
        tier,
        ...(key !== undefined && { key }),
        ...(namespace !== undefined && { namespace }),
        ...(tags !== undefined && { tags }),
        ...(ttlSeconds !== undefined && { ttlMs: ttlSeconds * MS_PER_SECOND }),
      })
      return { ...kept }
    },
  })

const memorySearch = (memory: AgentMemory): Tool =>
  defineTool({
    name: 'memory_search',
    description:
      'Searches what was noted and what happened in earlier sessions, and what this conversation was shortened by. "Quoted words" must stand together, -word must not occur.',
    input: z.object({
      query: z.string().min(1).max(MAX_QUERY_CHARS),
      limit: z.number().int().min(1).max(MAX_MEMORY_RESULTS).default(DEFAULT_RESULTS),
      tiers: z.array(tierSchema).min(1).max(MEMORY_TIERS.length).optional(),
      namespace: nameSchema.optional(),
      minScore: z.number().min(0).max(1).optional(),
    }),
    shared: 'memory',
    effect: () => 'read',
    async run({ query, limit, tiers, namespace, minScore }, holder) {
      const found = await memory.search(holder, {
        query,
        limit,
        ...(tiers && { tiers }),
        ...(namespace !== undefined && { namespace }),
        ...(minScore !== undefined && { minScore }),
      })
      return { count: found.length, results: found.map(shown) }
    },
  })

const memoryForget = (memory: AgentMemory): Tool =>
  defineTool({
    name: 'memory_forget',
    description: 'Forgets a note by its id, or all notes of a key.',
    input: z.object({ id: nameSchema.optional(), key: nameSchema.optional(), namespace: nameSchema.optional() }),
    shared: 'memory',
    effect: () => 'idempotent',
    async run({ id, key, namespace }, holder) {
      if (id !== undefined) return { forgotten: await memory.forget(holder, { id }) }
      if (key === undefined) throw new ToolFailure('Say what to forget: its id, or its key')
      return { forgotten: await memory.forget(holder, { key, ...(namespace !== undefined && { namespace }) }) }
    },
  })

function shown({ content, tags, key, ...note }: RecalledNote) {
  const truncated = content.length > SHOWN_CHARS
  return {
    ...note,
    ...(key !== undefined && { key }),
    ...(tags.length > 0 && { tags }),
    content: truncated ? `${content.slice(0, SHOWN_CHARS)}…` : content,
  }
}
