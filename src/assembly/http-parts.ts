/**
 * What the HTTP door of an edge reads: rows of the database, the budgets, the memory, the charter, the cluster's figures.
 */
import type { BudgetDesk } from '../budget/budget-desk.js'
import type { Charter } from '../charter/schema.js'
import type { ShardLoads } from '../cluster/cluster.js'
import type { HttpSources, MemoryRow } from '../edge/http/sources.js'
import type { Memory, Recalled } from '../memory/memory.js'
import type { NeolithView } from '../neolith/view.js'
import { ServiceError } from '../protocol/errors.js'
import type { NodeId } from '../protocol/ids.js'
import { Artifacts } from '../storage/artifacts.js'
import { AuditLog } from '../storage/audit-log.js'
import type { Database } from '../storage/database.js'
import { LeaderLease } from '../storage/leader.js'
import { MemoryItems } from '../storage/memory-items.js'
import { unlessAway } from '../storage/outage.js'
import { SessionList } from '../storage/session-list.js'
import { ShardAssignments } from '../storage/shard-assignments.js'
import { Turns } from '../storage/turns.js'
import { redactText } from '../telemetry/redact.js'

export interface HttpFitting {
  readonly database: Database
  readonly node: NodeId
  readonly budgets: BudgetDesk
  readonly memory: Memory
  /** As it is in effect now. */
  readonly charter: () => Charter
  /** Undefined for one process alone, which leads itself and measures nothing. */
  readonly shardLoads: ShardLoads | undefined
  readonly nodes: () => readonly { readonly id: NodeId }[]
  /** Undefined where this node is connected to none. */
  readonly neolith: NeolithView | undefined
}

export function httpSources(fitting: HttpFitting): HttpSources {
  const { database, budgets, charter } = fitting
  const [sessions, turns, artifacts] = [new SessionList(database), new Turns(database), new Artifacts(database)]
  const audit = new AuditLog(database)
  return {
    idleSessions: (tenant, owner, idleMs, limit) => unlessAway(sessions.findIdle(tenant, owner, idleMs, limit)),
    turns: (sessionId, limit, cursor) => unlessAway(turns.page(sessionId, limit, cursor)),
    artifacts: {
      page: (sessionId, limit, cursor) => unlessAway(artifacts.page(sessionId, limit, cursor)),
      find: (sessionId, path) => unlessAway(artifacts.find(sessionId, path)),
      content: (hash) => unlessAway(artifacts.content(hash)),
    },
    budgets: {
      uses: (whose) => unlessAway(budgets.uses(whose)),
      report: (tenant, question) => unlessAway(budgets.report(tenant, question)),
    },
    memory: memoryOf(fitting),
    audit: (query) => unlessAway(audit.list(query)),
    charter,
    cluster: clusterOf(fitting),
    neolith: fitting.neolith && neolithOf(fitting.neolith),
  }
}

function memoryOf({ database, memory }: HttpFitting): HttpSources['memory'] {
  const items = new MemoryItems(database)
  return {
    search: async (holder, question) =>
      (await memory.search(holder, question)).map((hit) => ({ ...shown(hit), score: hit.score })),
    page: async (holder, { tiers = [], ...filter }, { after, limit, order }) => {
      const rows = await unlessAway(items.page(holder, { ...filter, tiers }, after, limit, order))
      return rows.map(({ validFrom, validTo, ...row }) =>
        shown({ ...row, validFrom: validFrom.toISOString(), validTo: validTo?.toISOString() }),
      )
    },
  }
}

type Shown = Omit<Recalled, 'score' | 'key' | 'sessionId'> & {
  readonly key: string | null | undefined
  readonly sessionId: string | null | undefined
}

const shown = ({ id, tier, kind, namespace, key, content, tags, metadata, ...about }: Shown): MemoryRow => ({
  ...{ id, tier, kind, namespace, content, tags, metadata },
  key: key ?? null,
  validFrom: about.validFrom,
  validTo: about.validTo ?? null,
  sessionId: about.sessionId ?? null,
})

/** What Neolith refuses, or does not answer, is nobody's bug here. */
function neolithOf(view: NeolithView): NonNullable<HttpSources['neolith']> {
  const orUnavailable = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (cause) {
      const reason = cause instanceof Error ? redactText(cause.message) : 'Neolith did not answer'
      throw new ServiceError('unavailable', { reason }, { cause })
    }
  }
  return {
    traffic: async () => view.traffic(),
    channels: () => orUnavailable(view.channels()),
    channel: (id) => orUnavailable(view.channel(id)),
  }
}

function clusterOf({ database, node, shardLoads, nodes }: HttpFitting): HttpSources['cluster'] {
  const [leader, assignments] = [new LeaderLease(database), new ShardAssignments(database)]
  return {
    leader: async () => (shardLoads ? (await unlessAway(leader.current()))?.holder : node),
    assignments: () => unlessAway(assignments.list()),
    loads: async () => (await shardLoads?.read(new Set(nodes().map(({ id }) => id)))) ?? new Map(),
  }
}
