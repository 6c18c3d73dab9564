/**
 * Limits that somebody has set for a while, in place of those of settings and charters. Rows are never deleted: they tell
 * who allowed what; and what is done to them is in the audit log, in the same statement.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface NewOverride {
  readonly tenant: string
  readonly scope: 'session' | 'orchestrator' | 'tenant'
  readonly scopeId: string
  readonly period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'session'
  readonly tokens: number
  readonly reason: string
  readonly createdBy: string
  /** It holds for so long, by the clock of the database. */
  readonly forMs: number
}

export interface Override extends Omit<NewOverride, 'forMs'> {
  readonly id: number
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly revokedBy: string | null
  readonly revokedAt: Date | null
}

/** One that holds now. */
export interface HoldingOverride extends Pick<Override, 'scope' | 'scopeId' | 'period' | 'tokens'> {
  readonly leftMs: number
}

export class BudgetOverrides {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Returns the id of the override. */
  async set(override: NewOverride): Promise<number> {
    const { tenant, scope, period, tokens, forMs } = override
    const [scopeId, reason, by] = [override.scopeId, override.reason, override.createdBy].map(storableText)
    const { rows } = await sql<{ id: number }>`
      with made as (
        insert into budget_overrides (tenant, scope, scope_id, period, tokens, reason, created_by, expires_at)
        values (${tenant}, ${scope}, ${scopeId}, ${period}, ${tokens}, ${reason}, ${by},
          now() + ${forMs}::double precision * interval '1 millisecond')
        returning *
      ), noted as (
        insert into audit_log (tenant, actor, action, subject, detail)
        select tenant, created_by, 'budget.override', scope || ':' || scope_id, json_build_object('override', id,
          'period', period, 'tokens', tokens, 'reason', reason, 'expiresAt', expires_at) from made
      )
      select id from made`.execute(this.#database.sql)
    const [made] = rows
    if (!made) throw new Error('an override was not made')
    return made.id
  }

  /** Ends an override; false when it does not hold (any more). */
  async revoke(tenant: string, id: number, by: string): Promise<boolean> {
    const { rows } = await sql`
      with ended as (
        update budget_overrides set revoked_by = ${storableText(by)}, revoked_at = now()
        where tenant = ${tenant} and id = ${id} and revoked_at is null and expires_at > now() returning *
      )
      insert into audit_log (tenant, actor, action, subject, detail)
      select tenant, revoked_by, 'budget.override_revoked', scope || ':' || scope_id, json_build_object('override', id)
      from ended returning id`.execute(this.#database.sql)
    return rows.length === 1
  }

  /** Those that hold now, oldest first: of two for the same limit the later one counts. */
  async findHolding(tenant: string): Promise<HoldingOverride[]> {
    // Index budget_overrides_by_tenant.
    return await this.#database.sql
      .selectFrom('budget_overrides')
      .select(['scope', 'scope_id as scopeId', 'period', 'tokens'])
      .select(sql<number>`(extract(epoch from expires_at - now()) * 1000)::float8`.as('leftMs'))
      .where('tenant', '=', tenant)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', sql<Date>`now()`)
      .orderBy('id')
      .execute()
  }

  /** The last `limit` of a tenant, newest first, ended ones too. */
  async list(tenant: string, limit: number): Promise<Override[]> {
    // Index budget_overrides_by_tenant.
    return await this.#database.sql
      .selectFrom('budget_overrides')
      .select(['id', 'tenant', 'scope', 'scope_id as scopeId', 'period', 'tokens', 'reason'])
      .select(['created_by as createdBy', 'created_at as createdAt', 'expires_at as expiresAt'])
      .select(['revoked_by as revokedBy', 'revoked_at as revokedAt'])
      .where('tenant', '=', tenant)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
  }
}
