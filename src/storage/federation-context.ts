/**
 * What the orchestrators of a group know together: values under keys, each with a version, changed by compare-and-set.
 */
import { sql, type Transaction } from 'kysely'
import type { Database } from './database.js'
import type { Schema } from './schema.js'
import { queryableJson } from './text.js'

/** Keys of one group. */
const MAX_KEYS = 1_000

export interface ContextEntry {
  readonly key: string
  readonly value: unknown
  /** Rises by one with every change, from 1. */
  readonly version: number
  readonly updatedBy: string
  readonly updatedAt: Date
}

export interface ContextChange {
  readonly key: string
  /** Undefined removes the key. */
  readonly value: unknown
  /** The version that is to be replaced; 0 for a key that is not there. */
  readonly expected: number
  readonly by: string
}

/** `conflict`: the key has another version · `full`: the group has as many keys as it may. */
export type ContextOutcome =
  | { readonly status: 'ok'; readonly version: number }
  | { readonly status: 'conflict'; readonly version: number }
  | { readonly status: 'full' }

export class FederationContext {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** In the order of the keys. */
  async list(tenant: string, group: string): Promise<readonly ContextEntry[]> {
    const rows = await this.#entries(tenant, group).orderBy('key').execute()
    return rows
  }

  async find(tenant: string, group: string, key: string): Promise<ContextEntry | undefined> {
    return this.#entries(tenant, group).where('key', '=', key).executeTakeFirst()
  }

  /** Changes one key if it still has the expected version. Of many with the same expectation exactly one is `ok`. */
  async change(tenant: string, group: string, change: ContextChange): Promise<ContextOutcome> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      // One change of a group at a time: the count of its keys and the version of a missing key must hold.
      await sql`select pg_advisory_xact_lock(hashtextextended(${`federation ${tenant} ${group}`}, 0))`.execute(
        transaction,
      )
      const { count, version } = await this.#standing(transaction, tenant, group, change.key)
      if (version !== change.expected) return { status: 'conflict', version }
      if (version === 0 && change.value !== undefined && count >= MAX_KEYS) return { status: 'full' }
      await this.#write(transaction, tenant, group, change)
      return { status: 'ok', version: change.value === undefined ? 0 : version + 1 }
    })
  }

  async #standing(transaction: Transaction<Schema>, tenant: string, group: string, key: string) {
    const { rows } = await sql<{ count: number; version: number }>`
      select count(*)::int as count, coalesce(max(version) filter (where key = ${key}), 0)::int as version
      from federation_context where tenant = ${tenant} and group_name = ${group}`.execute(transaction)
    const [standing] = rows
    if (!standing) throw new Error('an aggregate without a row')
    return standing
  }

  async #write(transaction: Transaction<Schema>, tenant: string, group: string, change: ContextChange): Promise<void> {
    const { key, value, expected, by } = change
    if (value === undefined) {
      await sql`delete from federation_context
        where tenant = ${tenant} and group_name = ${group} and key = ${key}`.execute(transaction)
      return
    }
    await sql`
      insert into federation_context (tenant, group_name, key, version, value, updated_by)
      values (${tenant}, ${group}, ${key}, ${expected + 1}, ${queryableJson(JSON.stringify(value))}::json, ${by})
      on conflict (tenant, group_name, key) do update set
        version = excluded.version, value = excluded.value, updated_by = excluded.updated_by, updated_at = now()`.execute(
      transaction,
    )
  }

  #entries(tenant: string, group: string) {
    return this.#database.sql
      .selectFrom('federation_context')
      .select(['key', 'value', 'version', 'updated_by as updatedBy', 'updated_at as updatedAt'])
      .where('tenant', '=', tenant)
      .where('group_name', '=', group)
  }
}
