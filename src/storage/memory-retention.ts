/**
 * What is forgotten by itself: what is over, what was replaced long ago, and what is more than a tier may hold. Of all
 * scopes, a batch at a time.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import type { MemoryTier } from './schema.js'

export class MemoryRetention {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Counts for the planner, where nobody else does: the built-in database has no process that vacuums. */
  async refreshStatistics(): Promise<void> {
    if (this.#database.kind !== 'pglite') return
    await sql`analyze memory_items`.execute(this.#database.sql)
    await sql`analyze memory_sources`.execute(this.#database.sql)
  }

  /** Forgets at most `limit` items whose time is over. */
  async purgeExpired(limit: number): Promise<number> {
    // Index memory_items_expiring.
    const { rows } = await sql`
      delete from memory_items where id in (
        select id from memory_items where expires_at < now() order by expires_at limit ${limit})
      returning id`.execute(this.#database.sql)
    return rows.length
  }

  /** Forgets what was replaced so long ago. */
  async purgeFormer(olderThanMs: number, limit: number): Promise<number> {
    const { rows } = await sql`
      delete from memory_items where id in (
        select id from memory_items
        where valid_to < now() - ${olderThanMs}::double precision * interval '1 millisecond' limit ${limit})
      returning id`.execute(this.#database.sql)
    return rows.length
  }

  /** Forgets the oldest items of scopes whose tier takes more than `maxBytes`, at most `limit` of each such scope. */
  async purgeBeyond(tier: MemoryTier, maxBytes: number, limit: number): Promise<number> {
    // No index: nobody waits for this.
    const { rows } = await sql`
      with beyond as (
        select tenant, owner, sum(bytes) - ${maxBytes} as over from memory_items where tier = ${tier}
        group by tenant, owner having sum(bytes) > ${maxBytes})
      delete from memory_items where id in (
        select o.id from beyond b cross join lateral (
          select id, sum(bytes) over (order by valid_to is null, valid_from, id) - bytes as before
          from memory_items i where i.tenant = b.tenant and i.owner = b.owner and i.tier = ${tier}
          order by valid_to is null, valid_from, id limit ${limit}) o
        where o.before < b.over)
      returning id`.execute(this.#database.sql)
    return rows.length
  }
}
