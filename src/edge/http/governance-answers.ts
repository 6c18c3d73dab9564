/**
 * Budgets, usage, memory and the charter over HTTP.
 */
import { ServiceError } from '../../protocol/errors.js'
import { seesTenant } from '../../protocol/permissions.js'
import type { Principal } from '../auth.js'
import type { SessionDirectory } from '../session-directory.js'
import { ok } from './answer.js'
import type { Handlers } from './handlers.js'
import { invalid } from './problems.js'
import type { AuditRow, HttpSources, MemoryHolder } from './sources.js'

const DEFAULT_PAGE = 100
const MS_PER_WEEK = 7 * 86_400_000
const DEFAULT_ORCHESTRATOR = 'default'
const ALL_TIERS = ['scratchpad', 'episodic', 'semantic'] as const

export interface GovernanceParts {
  readonly directory: SessionDirectory
  readonly sources: Pick<HttpSources, 'budgets' | 'memory' | 'charter' | 'audit'>
  readonly now: () => number
}

export function governanceAnswers({
  directory,
  sources,
  now,
}: GovernanceParts): Handlers<
  'readBudgets' | 'readUsage' | 'listMemories' | 'searchMemory' | 'readCharter' | 'listAudit'
> {
  const { budgets, memory } = sources
  return {
    readBudgets: async ({ principal, query }) => {
      const sessionId = await sessionAsked(directory, principal, query.sessionId)
      const session = sessionId === undefined ? undefined : await directory.snapshot(sessionId)
      const orchestratorId = session?.orchestratorId ?? query.orchestratorId ?? DEFAULT_ORCHESTRATOR
      return ok({ budgets: await budgets.uses({ tenant: principal.tenant, orchestratorId, sessionId }) })
    },
    readUsage: async ({ principal, query }) => {
      const { from, to, anomalies, orchestratorId, granularity, groupBy } = query
      const sessionId = await sessionAsked(directory, principal, query.sessionId)
      const endTime = to === undefined ? new Date(now()) : new Date(to)
      const startTime = from === undefined ? new Date(endTime.getTime() - MS_PER_WEEK) : new Date(from)
      const about = { orchestratorId, sessionId, startTime, endTime, granularity, groupBy }
      return ok(await budgets.report(principal.tenant, { ...about, includeAnomalies: anomalies === 'true' }))
    },
    listMemories: async ({ principal, query }) => {
      const { tier: tiers = [...ALL_TIERS], namespace, sessionId, limit = DEFAULT_PAGE, cursor = '' } = query
      const { order = 'newest' } = query
      const holder = holderOf(principal, query.owner)
      const asked = { after: cursor, limit: limit + 1, order }
      const found = await memory.page(holder, { tiers, namespace, sessionId }, asked)
      const memories = found.slice(0, limit)
      const last = found.length > limit ? memories.at(-1) : undefined
      return ok({ memories, ...(last && { cursor: last.id }) })
    },
    searchMemory: async ({ principal, query }) => {
      const { q, tier: tiers, namespace, sessionId, limit, owner } = query
      const question = { query: q, tiers, namespace, sessionId, limit }
      return ok({ memories: await memory.search(holderOf(principal, owner), question) })
    },
    listAudit: async ({ principal: { tenant }, query: { limit = DEFAULT_PAGE, ...query } }) =>
      ok({ entries: (await sources.audit({ ...query, tenant, limit })).map(auditEntry) }),
    readCharter: () => ok({ charter: sources.charter() }),
  }
}

const auditEntry = ({ seq, at, actor, action, sessionId, subject, detail, hash }: AuditRow) => ({
  ...{ seq, at, actor, action, sessionId, subject, detail, hash },
})

/** Who sees only sessions of its own asks about one of them; everybody only about one that is there for it. */
async function sessionAsked(
  directory: SessionDirectory,
  principal: Principal,
  sessionId: string | undefined,
): Promise<string | undefined> {
  if (sessionId !== undefined) await directory.checkAccess(sessionId, principal)
  else if (!seesTenant(principal.role)) throw invalid('sessionId: this credential asks about a session of its own')
  return sessionId
}

function holderOf({ tenant, subject, role }: Principal, owner = subject): MemoryHolder {
  if (owner !== subject && !seesTenant(role)) {
    throw new ServiceError('forbidden', { action: 'read what others remember' })
  }
  return { tenant, owner }
}
