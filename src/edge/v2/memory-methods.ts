/**
 * What the client remembers, and finds again: its own memory in its tenant, as over HTTP.
 */
import { ServiceError } from '../../protocol/errors.js'
import type { Principal } from '../auth.js'
import { sessionOf } from '../caller.js'
import type { AuditNote } from '../dependencies.js'
import type { MemoryHolder, MemoryRow } from '../http/sources.js'
import type { Handlers } from './asked.js'
import type { V2Parts } from './parts.js'

export const MEMORY_METHODS: Handlers<'memory.query' | 'memory.store' | 'memory.delete'> = {
  'memory.query': async ({ params, principal, parts }) => {
    const { query, tier, sessionId, limit, similarityThreshold = 0 } = params
    const question = { query, tiers: tier && [tier], sessionId, limit }
    const found = await parts.sources.memory.search(holderOf(principal), question)
    const memories = found.filter(({ score }) => score >= similarityThreshold).map(shown)
    return { payload: { memories, total: memories.length } }
  },
  'memory.store': async ({ params, principal, caller, parts }) => {
    const { content, tier, sessionId, type: kind, metadata } = params
    const session = sessionId === undefined ? undefined : await sessionOf(caller, sessionId)
    const note = { content, tier, kind, sessionId, metadata, orchestratorId: session?.orchestratorId }
    const { id } = await parts.sources.memory.store(holderOf(principal), note)
    noted(parts, principal, { action: 'memory.store', sessionId, subject: id, detail: { tier, kind } })
    return { payload: { memoryId: id, tier } }
  },
  'memory.delete': async ({ params: { memoryId }, principal, parts }) => {
    const gone = await parts.sources.memory.forget(holderOf(principal), memoryId)
    if (gone === 0) throw new ServiceError('memory_not_found', { memoryId })
    noted(parts, principal, { action: 'memory.delete', sessionId: undefined, subject: memoryId, detail: {} })
    return { payload: { memoryId, deleted: true } }
  },
}

/** Who has changed what, and never what it says: that stands in memory alone, where it can be forgotten. */
function noted({ audit }: V2Parts, { tenant, subject: actor }: Principal, note: Omit<AuditNote, 'tenant' | 'actor'>) {
  audit?.add({ tenant, actor, ...note })
}

const holderOf = ({ tenant, subject }: Principal): MemoryHolder => ({ tenant, owner: subject })

const shown = ({ id, tier, kind, content, metadata, sessionId, validFrom, score }: MemoryRow & { score: number }) => ({
  ...{ memoryId: id, id, tier, type: kind, content, metadata, sessionId, createdAt: validFrom, score },
})
