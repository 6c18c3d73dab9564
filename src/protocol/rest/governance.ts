/**
 * Endpoints about what sessions use, what they remember, and what they may do.
 */
import { z } from 'zod'
import { usageReportSchema } from '../budgets.js'
import { type Endpoint, id, listOf, NOTHING, page } from './endpoint.js'
import { auditShape, budgetUseShape, foundMemoryShape, memoryShape, pageOf, usageReportShape } from './shapes.js'

const TIERS = ['scratchpad', 'episodic', 'semantic'] as const
const MAX_QUESTION_CHARS = 2_000
const MAX_FOUND = 50

const whose = { orchestratorId: id.optional(), sessionId: id.optional() }
const memoryQuery = {
  namespace: z.string().min(1).max(200).optional(),
  sessionId: id.optional(),
  owner: id.optional().meta({ description: 'Another subject of the tenant; for roles that see all of it.' }),
}

export const GOVERNANCE_ENDPOINTS = {
  readBudgets: {
    method: 'GET',
    path: '/api/budgets',
    tag: 'Usage',
    summary: 'How much is used of each limit. Who sees only sessions of its own names one of them.',
    action: 'read_usage',
    params: NOTHING,
    query: z.object(whose),
    answers: { 200: z.object({ budgets: z.array(budgetUseShape) }) },
    errors: ['session_not_found'],
  },
  readUsage: {
    method: 'GET',
    path: '/api/usage',
    tag: 'Usage',
    summary: 'What was used, by time, and by what it was used for. Default the last seven days.',
    action: 'read_usage',
    params: NOTHING,
    query: z.object({
      ...whose,
      from: z.iso.datetime({ offset: true }).optional(),
      to: z.iso.datetime({ offset: true }).optional(),
      granularity: usageReportSchema.shape.granularity.optional(),
      groupBy: listOf(['orchestrator', 'session', 'model', 'tool']),
      anomalies: z.enum(['true', 'false']).optional(),
    }),
    answers: { 200: usageReportShape },
    errors: ['session_not_found'],
  },
  listMemories: {
    method: 'GET',
    path: '/api/memory',
    tag: 'Memory',
    summary: 'What is remembered, newest first, or with `order=oldest` the other way round.',
    action: 'read_memory',
    params: NOTHING,
    query: z.object({ ...page, ...memoryQuery, tier: listOf(TIERS), order: z.enum(['newest', 'oldest']).optional() }),
    answers: { 200: pageOf('memories', memoryShape) },
  },
  searchMemory: {
    method: 'GET',
    path: '/api/memory/search',
    tag: 'Memory',
    summary: 'What fits a question, best first. Without a tier, of the episodic and the semantic one.',
    action: 'read_memory',
    params: NOTHING,
    query: z.object({
      ...memoryQuery,
      q: z.string().min(1).max(MAX_QUESTION_CHARS),
      tier: listOf(TIERS),
      limit: z.coerce.number().int().min(1).max(MAX_FOUND).optional(),
    }),
    answers: { 200: z.object({ memories: z.array(foundMemoryShape) }) },
  },
  readCharter: {
    method: 'GET',
    path: '/api/charter',
    tag: 'Service',
    summary: 'The charter that holds on the node that answers.',
    action: 'read_charter',
    params: NOTHING,
    query: NOTHING,
    answers: { 200: z.object({ charter: z.record(z.string(), z.unknown()) }) },
  },
  listAudit: {
    method: 'GET',
    path: '/api/audit',
    tag: 'Service',
    summary: 'Who did what in the tenant, newest first; each row with its place in the chain.',
    action: 'read_audit',
    params: NOTHING,
    query: z.object({
      limit: page.limit,
      before: z.coerce.number().int().min(1).optional().meta({ description: 'Only rows with a smaller number.' }),
      action: z.string().min(1).max(64).optional().meta({ description: 'The action, or its first words: `approval`.' }),
      sessionId: id.optional(),
    }),
    answers: { 200: z.object({ entries: z.array(auditShape) }) },
  },
} as const satisfies Record<string, Endpoint>
