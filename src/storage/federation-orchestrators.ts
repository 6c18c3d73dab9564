/**
 * Orchestrators of the federation. Whether one is alive is judged by the database's clock alone: half a minute of silence
 * makes it offline, and after five minutes it is as if it had never registered.
 */
import { type RawBuilder, sql } from 'kysely'
import type {
  Orchestrator,
  OrchestratorLoad,
  OrchestratorQuery,
  OrchestratorStatus,
  Outcome,
  Registration,
} from '../protocol/federation.js'
import type { Database } from './database.js'

/** Three heartbeats of the library. */
const OFFLINE_AFTER = sql`interval '30 seconds'`
const GONE_AFTER = sql`interval '5 minutes'`
/** Of a tenant; more are a mistake of a program that makes up ids. */
const MAX_ORCHESTRATORS = 1_000

export class FederationOrchestrators {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Adds an orchestrator, or replaces what it said before. False when the tenant has too many. */
  async register(tenant: string, registration: Registration): Promise<boolean> {
    const { id, capabilities, region = null, tier, sessionType, groups, maxSessions, maxTokens = null } = registration
    const { rows } = await sql`
      insert into federation_orchestrators
        (tenant, id, capabilities, region, tier, session_type, groups, max_sessions, max_tokens)
      select ${tenant}, ${id}, ${capabilities}::text[], ${region}, ${tier}::int, ${sessionType}, ${groups}::text[],
        ${maxSessions}::int, ${maxTokens}::bigint
      where (select count(*) from federation_orchestrators where tenant = ${tenant} and id <> ${id}) < ${MAX_ORCHESTRATORS}
      on conflict (tenant, id) do update set
        capabilities = excluded.capabilities, region = excluded.region, tier = excluded.tier,
        session_type = excluded.session_type, groups = excluded.groups, max_sessions = excluded.max_sessions,
        max_tokens = excluded.max_tokens, heartbeat_at = now()
      returning id`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** A sign of life; what it says of its load replaces what it said before. False when it is not registered any more. */
  async heartbeat(tenant: string, id: string, load: OrchestratorLoad): Promise<boolean> {
    const { activeSessions = null, tokensUsed = null } = load
    const { rows } = await sql`
      update federation_orchestrators set heartbeat_at = now(),
        active_sessions = coalesce(${activeSessions}::int, active_sessions),
        tokens_used = coalesce(${tokensUsed}::bigint, tokens_used)
      where tenant = ${tenant} and id = ${id} and heartbeat_at > now() - ${GONE_AFTER}
      returning id`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** False when there was none. */
  async unregister(tenant: string, id: string): Promise<boolean> {
    const removed = await this.#database.sql
      .deleteFrom('federation_orchestrators')
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .returning('id')
      .execute()
    return removed.length > 0
  }

  async find(tenant: string, id: string): Promise<Orchestrator | undefined> {
    return (await this.#read(tenant, sql`o.id = ${id}`))[0]
  }

  /** In the order of their ids. */
  async list(tenant: string, query: OrchestratorQuery = {}): Promise<readonly Orchestrator[]> {
    const { capabilities = [], region, group, status } = query
    const found = await this.#read(
      tenant,
      sql`o.capabilities @> ${capabilities}::text[]
        and (${region ?? null}::text is null or o.region = ${region ?? null})
        and (${group ?? null}::text is null or ${group ?? null} = any (o.groups))`,
    )
    return found.filter((it) => (status === undefined || it.status === status) && hasRoom(it, query))
  }

  /** Forgets those that have been silent too long. */
  async removeGone(): Promise<void> {
    // Index federation_orchestrators_by_heartbeat.
    await sql`delete from federation_orchestrators where heartbeat_at <= now() - ${GONE_AFTER}`.execute(
      this.#database.sql,
    )
  }

  /** Orchestrators of all tenants that are not offline. */
  async countLive(): Promise<number> {
    const { rows } = await sql<{ live: number }>`
      select count(*)::int as live from federation_orchestrators where heartbeat_at > now() - ${OFFLINE_AFTER}`.execute(
      this.#database.sql,
    )
    return rows[0]?.live ?? 0
  }

  async #read(tenant: string, where: RawBuilder<unknown>): Promise<Orchestrator[]> {
    // Indexes federation_orchestrators_pkey and federation_delegations_by_target.
    const { rows } = await sql<OrchestratorRow>`
      select o.id, o.capabilities, o.region, o.tier, o.session_type as "sessionType", o.groups,
        o.max_sessions as "maxSessions", o.max_tokens as "maxTokens", o.tokens_used as "tokensUsed",
        greatest(o.active_sessions, d.open)::int as "activeSessions",
        o.heartbeat_at <= now() - ${OFFLINE_AFTER} as silent,
        ${agesOf('succeeded_at')} as succeeded, ${agesOf('failed_at')} as failed,
        o.registered_at as "registeredAt", o.heartbeat_at as "heartbeatAt"
      from federation_orchestrators o
      cross join lateral (
        select count(*) as open from federation_delegations
        where tenant = o.tenant and target = o.id and ended_at is null) d
      where o.tenant = ${tenant} and o.heartbeat_at > now() - ${GONE_AFTER} and ${where}
      order by o.id`.execute(this.#database.sql)
    return rows.map(({ silent, succeeded, failed, ...row }) => ({
      ...row,
      outcomes: [...succeeded.map(outcomeOf(false)), ...failed.map(outcomeOf(true))],
      status: statusOf(row, silent),
    }))
  }
}

type Said = Omit<Orchestrator, 'status' | 'outcomes'>
type OrchestratorRow = Said & {
  readonly silent: boolean
  /** In milliseconds, by the database's clock. */
  readonly succeeded: readonly number[]
  readonly failed: readonly number[]
}

const agesOf = (column: 'succeeded_at' | 'failed_at') => sql`
  array(select (extract(epoch from now() - at) * 1000)::float8 from unnest(o.${sql.ref(column)}) at)`

const outcomeOf =
  (failed: boolean) =>
  (ageMs: number): Outcome => ({ ageMs, failed })

function statusOf(row: Said, silent: boolean): OrchestratorStatus {
  if (silent) return 'offline'
  return row.activeSessions >= row.maxSessions ? 'busy' : 'online'
}

function hasRoom(it: Orchestrator, { minAvailableSessions = 0, minAvailableTokens = 0 }: OrchestratorQuery): boolean {
  const tokens = it.maxTokens === null ? Number.POSITIVE_INFINITY : it.maxTokens - it.tokensUsed
  return it.maxSessions - it.activeSessions >= minAvailableSessions && tokens >= minAvailableTokens
}
