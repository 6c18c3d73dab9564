/**
 * What the HTTP door reads beside what every door does, as small interfaces: the composition root fits them.
 */
import type { ShardLoadReport } from '../../cluster/cluster.js'
import type { BudgetUse, UsageReport, UsageReportInput } from '../../protocol/budgets.js'
import type { NodeId, SessionId } from '../../protocol/ids.js'
import type { TurnRecord } from '../../storage/turns.js'

export interface ArtifactRow {
  readonly path: string
  readonly size: number
  readonly hash: string
  readonly mode: number
  readonly changedAt: Date
}

type Tier = 'scratchpad' | 'episodic' | 'semantic'

/** Whose memory: one subject of a tenant. */
export interface MemoryHolder {
  readonly tenant: string
  readonly owner: string
}

export interface MemoryFilter {
  readonly tiers?: readonly Tier[] | undefined
  readonly namespace?: string | undefined
  readonly sessionId?: string | undefined
}

export interface MemoryRow {
  readonly id: string
  readonly tier: Tier
  readonly kind: 'interaction' | 'observation' | 'decision' | 'knowledge'
  readonly namespace: string
  readonly key: string | null
  readonly content: string
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly validFrom: string
  readonly validTo: string | null
  readonly sessionId: string | null
}

export interface AssignmentRow {
  readonly shard: number
  readonly owner: NodeId | null
  readonly epoch: number
  readonly state: 'assigned' | 'releasing' | 'released'
  readonly previousOwner: NodeId | null
  readonly changedAt: Date
}

export interface AuditRow {
  readonly seq: number
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly sessionId: string | null
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
  readonly hash: string
}

/** A place where people and orchestrators write to each other. */
export interface ChannelRow {
  readonly id: string
  readonly name: string
}

/** What a connection to Neolith knows. Each throws ServiceError `unavailable`, with the reason, for what it cannot tell now. */
export interface NeolithSource {
  /** How many messages may go back and forth, and do. */
  traffic(): Promise<object>
  channels(): Promise<readonly ChannelRow[]>
  /** Undefined for one that is not there for this orchestrator. */
  channel(channelId: string): Promise<ChannelRow | undefined>
}

/** Everything of it throws ServiceError `unavailable` while the database is away. */
export interface HttpSources {
  /** Undefined where this node is connected to none. */
  readonly neolith?: NeolithSource | undefined
  /** Sessions in which nothing has happened for so long; only those of `owner`, where one is named. */
  idleSessions(tenant: string, owner: string | undefined, idleMs: number, limit: number): Promise<readonly SessionId[]>
  turns(
    sessionId: SessionId,
    limit: number,
    cursor: string | undefined,
  ): Promise<{ readonly turns: readonly TurnRecord[]; readonly cursor?: string }>
  readonly artifacts: {
    page(
      sessionId: SessionId,
      limit: number,
      cursor: string | undefined,
    ): Promise<{ readonly artifacts: readonly ArtifactRow[]; readonly cursor?: string }>
    find(sessionId: SessionId, path: string): Promise<ArtifactRow | undefined>
    content(hash: string): Promise<Uint8Array | undefined>
  }
  readonly budgets: {
    uses(whose: {
      readonly tenant: string
      readonly orchestratorId: string
      readonly sessionId?: string | undefined
    }): Promise<readonly BudgetUse[]>
    report(tenant: string, question: UsageReportInput): Promise<UsageReport>
  }
  readonly memory: {
    search(
      holder: MemoryHolder,
      question: MemoryFilter & { readonly query: string; readonly limit?: number | undefined },
    ): Promise<readonly (MemoryRow & { readonly score: number })[]>
    /** In the order of their ids, which rise with time, or the other way round; what comes behind the id `after`, '' from the start. */
    page(
      holder: MemoryHolder,
      filter: MemoryFilter,
      page: { readonly after: string; readonly limit: number; readonly order: 'newest' | 'oldest' },
    ): Promise<readonly MemoryRow[]>
  }
  /** The newest first. */
  audit(query: {
    readonly tenant: string
    readonly limit: number
    readonly before?: number | undefined
    readonly action?: string | undefined
    readonly sessionId?: string | undefined
  }): Promise<readonly AuditRow[]>
  /** As it is in effect on this node now. */
  charter(): object
  readonly cluster: {
    leader(): Promise<NodeId | undefined>
    assignments(): Promise<readonly AssignmentRow[]>
    loads(): Promise<ReadonlyMap<NodeId, ShardLoadReport>>
  }
}
