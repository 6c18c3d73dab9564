/**
 * Items of memory: kept, found by their place, forgotten when somebody says so. Finding them by what they say is
 * `memory-search`, what is forgotten by itself `memory-retention`.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import { ITEM_REF } from './memory-identity.js'
import { putMemories } from './memory-insertion.js'
import type { MemoryRow, MemoryScope, MemorySource, NewMemory, TierTotals } from './memory-item.js'
import type { KeptMemory } from './memory-writes.js'
import type { MemoryTier } from './schema.js'

export class MemoryItems {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Keeps items, in their order, all or none; see `putMemories`. */
  async put(scope: MemoryScope, items: readonly NewMemory[]): Promise<readonly KeptMemory[]> {
    return this.#database.sql.transaction().execute((transaction) => putMemories(transaction, scope, items))
  }

  async find(scope: MemoryScope, id: string): Promise<MemoryRow | undefined> {
    return (await this.list(scope, [id]))[0]
  }

  /** The valid item of an identity. */
  async findCurrent(scope: MemoryScope, identity: string): Promise<MemoryRow | undefined> {
    // Index memory_items_current.
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and identity = ${identity} and valid_to is null
        and ${UNEXPIRED}`.execute(this.#database.sql)
    return rows[0]
  }

  /** Items by their ids, former ones too; in no order. */
  async list(scope: MemoryScope, ids: readonly string[]): Promise<readonly MemoryRow[]> {
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where id = any (${ids}::text[]) and tenant = ${scope.tenant} and owner = ${scope.owner} and ${UNEXPIRED}
    `.execute(this.#database.sql)
    return rows
  }

  /**
   * Everything valid of a scope in the order of its ids, which rise with time, a page at a time: what comes behind `after`. What is
   * remembered meanwhile stands before the pages that are newest first, and behind the others: nothing comes twice, nothing is left out.
   */
  async page(
    scope: MemoryScope,
    filter: {
      readonly tiers: readonly MemoryTier[]
      readonly namespace?: string | undefined
      readonly sessionId?: string | undefined
    },
    after: string,
    limit: number,
    order: 'oldest' | 'newest' = 'oldest',
  ): Promise<readonly MemoryRow[]> {
    const [behind, direction] =
      order === 'oldest' ? [sql`id > ${after}`, sql`asc`] : [sql`(${after} = '' or id < ${after})`, sql`desc`]
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and valid_to is null and ${UNEXPIRED}
        and tier = any (${filter.tiers}::text[]) and namespace = coalesce(${filter.namespace ?? null}::text, namespace)
        and (${filter.sessionId ?? null}::text is null or session_id = ${filter.sessionId ?? null})
        and ${behind}
      order by id ${direction} limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** The newest valid items of a tier. */
  async newest(scope: MemoryScope, tier: MemoryTier, limit: number): Promise<readonly MemoryRow[]> {
    // Index memory_items_by_holder.
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and tier = ${tier} and valid_to is null and ${UNEXPIRED}
      order by valid_from desc limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** What happened and is no source of anything, oldest first, but for the newest `except` of all that happened. */
  async notSummedUp(scope: MemoryScope, except: number, limit: number): Promise<readonly MemoryRow[]> {
    // Indexes memory_items_by_holder and memory_sources_by_step.
    const { rows } = await sql<MemoryRow>`
      with happened as (
        select * from memory_items
        where tenant = ${scope.tenant} and owner = ${scope.owner} and tier = 'episodic' and valid_to is null
          and ${UNEXPIRED}
        order by valid_from desc, id desc offset ${except})
      select ${COLUMNS} from happened i
      where not exists (
        select from memory_sources s where s.session_id = coalesce(i.session_id, '') and s.ref = ${ITEM_REF}::text || i.id)
      order by valid_from, id limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** What an item was made of, as far as it is there, oldest first: items that it names, and what was said in its steps. */
  async originalsOf(scope: MemoryScope, id: string): Promise<readonly MemoryRow[]> {
    const { rows } = await sql<MemoryRow>`
      with sources as (
        select s.session_id, s.ref from memory_sources s join memory_items made on made.id = s.item_id
        where s.item_id = ${id} and made.tenant = ${scope.tenant} and made.owner = ${scope.owner}),
      named as (
        select substr(ref, ${ITEM_REF.length + 1}) as id from sources where starts_with(ref, ${ITEM_REF})
        union
        select o.item_id from sources s join memory_sources o on o.session_id = s.session_id and o.ref = s.ref
        where o.item_id <> ${id} and not starts_with(s.ref, ${ITEM_REF}))
      select ${COLUMNS} from memory_items
      where id in (select n.id from named n) and tenant = ${scope.tenant} and owner = ${scope.owner}
        and tier = 'episodic' and ${UNEXPIRED}
      -- What happened within one millisecond stands in the order of the log.
      order by valid_from, (select min(s.seq) from memory_sources s where s.item_id = memory_items.id), id`.execute(
      this.#database.sql,
    )
    return rows
  }

  /** Lets items that are over some day live at least so long from now. */
  async keepFor(scope: MemoryScope, ids: readonly string[], ms: number): Promise<void> {
    await sql`
      update memory_items
      set expires_at = greatest(expires_at, now() + ${ms}::double precision * interval '1 millisecond')
      where id = any (${ids}::text[]) and tenant = ${scope.tenant} and owner = ${scope.owner}
        and expires_at is not null`.execute(this.#database.sql)
  }

  /** What was valid before at a place, newest first. */
  async former(scope: MemoryScope, identity: string, limit: number): Promise<readonly MemoryRow[]> {
    // Index memory_items_former.
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and identity = ${identity} and valid_to is not null
      order by valid_to desc limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  async sourcesOf(scope: MemoryScope, id: string): Promise<readonly MemorySource[]> {
    const { rows } = await sql<{ sessionId: string; ref: string; epoch: number | null; seq: number | null }>`
      select s.session_id as "sessionId", s.ref, s.epoch, s.seq
      from memory_sources s join memory_items i on i.id = s.item_id
      where s.item_id = ${id} and i.tenant = ${scope.tenant} and i.owner = ${scope.owner}
      order by s.epoch, s.seq`.execute(this.#database.sql)
    return rows.map(({ sessionId, ref, epoch, seq }) => ({
      ...{ sessionId, ref },
      ...(epoch !== null && { epoch }),
      ...(seq !== null && { seq }),
    }))
  }

  /** Returns how many are gone: one by its id, or all that ever stood at an identity. */
  async forget(scope: MemoryScope, which: { readonly id: string } | { readonly identity: string }): Promise<number> {
    const matches = 'id' in which ? sql`id = ${which.id}` : sql`identity = ${which.identity}`
    const { rows } = await sql`
      delete from memory_items where tenant = ${scope.tenant} and owner = ${scope.owner} and ${matches}
      returning id`.execute(this.#database.sql)
    return rows.length
  }

  /** Forgets all that a session noted for itself. */
  async clear(scope: MemoryScope, tier: MemoryTier, namespace: string): Promise<number> {
    const { rows } = await sql`
      delete from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and tier = ${tier} and namespace = ${namespace}
      returning id`.execute(this.#database.sql)
    return rows.length
  }

  /** What is valid, by tier and orchestrator: of one scope, or of everybody. */
  async totals(scope?: MemoryScope): Promise<readonly TierTotals[]> {
    const whose = scope ? sql`and tenant = ${scope.tenant} and owner = ${scope.owner}` : sql``
    const { rows } = await sql<TierTotals>`
      select tier, orchestrator_id as "orchestratorId", count(*) as items, sum(bytes) as bytes from memory_items
      where valid_to is null and ${UNEXPIRED} ${whose} group by tier, orchestrator_id`.execute(this.#database.sql)
    return rows
  }
}

const UNEXPIRED = sql<boolean>`(expires_at is null or expires_at > now())`

const COLUMNS = sql`
  id, tier, kind, namespace, key, content, tags, metadata, orchestrator_id as "orchestratorId",
  session_id as "sessionId", valid_from as "validFrom", valid_to as "validTo", expires_at as "expiresAt"`
