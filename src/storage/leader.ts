/**
 * Which coordinator leads: one row with a lease that only the database's clock judges. Terms rise with every leader, so
 * a deposed one is recognised by what it carries.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Database } from './database.js'

/** What a leader shows when it changes assignments. */
export interface Leadership {
  readonly holder: string
  readonly term: number
}

export class LeaderLease {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Takes the lead when it is free or its lease has run out; undefined while another, or this holder, has it. */
  async campaign(holder: string, leaseMs: number): Promise<{ readonly term: number } | undefined> {
    return this.#database.sql
      .insertInto('leader')
      .values({ term: 1, holder, expires_at: after(leaseMs) })
      .onConflict((conflict) =>
        conflict
          .column('singleton')
          .doUpdateSet({ term: sql`leader.term + 1`, holder, expires_at: after(leaseMs) })
          .where('leader.expires_at', '<=', sql<Date>`now()`),
      )
      .returning('term')
      .executeTakeFirst()
  }

  /** Who leads now; undefined while nobody does. */
  async current(): Promise<Leadership | undefined> {
    return await this.#database.sql
      .selectFrom('leader')
      .select(['holder', 'term'])
      .where('expires_at', '>', sql<Date>`now()`)
      .executeTakeFirst()
  }

  /** Prolongs the lease from now; false when it has run out or passed on: the holder must stop leading at once. */
  async renew(holder: string, term: number, leaseMs: number): Promise<boolean> {
    const renewed = await this.#held(holder, term)
      .set({ expires_at: after(leaseMs) })
      .returning('term')
      .execute()
    return renewed.length > 0
  }

  /** Frees the lead for the next campaign; nothing happens when it has passed on. */
  async resign(holder: string, term: number): Promise<void> {
    await this.#held(holder, term).set({ expires_at: sql<Date>`now()` }).execute()
  }

  #held(holder: string, term: number) {
    return this.#database.sql
      .updateTable('leader')
      .where('holder', '=', holder)
      .where('term', '=', term)
      .where('expires_at', '>', sql<Date>`now()`)
  }
}

/** True for as long as `leader` leads; of a change without a leader, always. */
export const leads = (leader: Leadership | undefined): RawBuilder<boolean> =>
  leader === undefined
    ? sql<boolean>`true`
    : sql<boolean>`exists (
        select from leader where term = ${leader.term} and holder = ${leader.holder} and expires_at > now())`

const after = (ms: number): RawBuilder<Date> => sql<Date>`now() + ${ms}::double precision * interval '1 millisecond'`
