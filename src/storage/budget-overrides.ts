/**
 * Limits that somebody has set for a while, in place of those of settings and charters. Rows are never deleted: they tell
 * who allowed what.
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
    const { id } = await this.#database.sql
      .insertInto('budget_overrides')
      .values({
        ...{ tenant, scope, period, tokens, scope_id: storableText(override.scopeId) },
        reason: storableText(override.reason),
        created_by: storableText(override.createdBy),
        expires_at: sql<Date>`now() + ${forMs}::double precision * interval '1 millisecond'`,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    return id
  }

  /** Ends an override; false when it does not hold (any more). */
  async revoke(tenant: string, id: number, by: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#database.sql
      .updateTable('budget_overrides')
      .set({ revoked_by: storableText(by), revoked_at: sql<Date>`now()` })
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', sql<Date>`now()`)
      .executeTakeFirstOrThrow()
    return numUpdatedRows === 1n
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
