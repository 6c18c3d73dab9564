/**
 * Items of memory: kept, found by their place, replaced, forgotten. Finding them by what they say is `memory-search`.
 */
import { sql, type Transaction } from 'kysely'
import { newMemoryId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { hashOf, holderMark, searchText, wordCount } from './memory-text.js'
import { type KeptMemory, planWrites } from './memory-writes.js'
import type { MemoryKind, MemoryTier, Schema } from './schema.js'
import { queryableJson, storableText } from './text.js'

export type { KeptMemory } from './memory-writes.js'

/** Whose memory: one owner in a tenant. */
export interface MemoryScope {
  readonly tenant: string
  readonly owner: string
}

/** A step of a session that an item comes from, and its event where that is known. */
export interface MemorySource {
  readonly sessionId: string
  readonly ref: string
  readonly epoch?: number | undefined
  readonly seq?: number | undefined
}

export interface NewMemory {
  readonly tier: MemoryTier
  readonly kind: MemoryKind
  readonly namespace: string
  readonly key?: string | undefined
  /** What makes another item the same one; see `memory-identity`. */
  readonly identity: string
  readonly content: string
  readonly tags?: readonly string[] | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly orchestratorId: string
  readonly sessionId?: string | undefined
  readonly validFrom: Date
  readonly expiresAt?: Date | undefined
  readonly sources?: readonly MemorySource[] | undefined
}

export interface MemoryRow {
  readonly id: string
  readonly tier: MemoryTier
  readonly kind: MemoryKind
  readonly namespace: string
  readonly key: string | null
  readonly content: string
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly orchestratorId: string
  readonly sessionId: string | null
  readonly validFrom: Date
  readonly validTo: Date | null
  readonly expiresAt: Date | null
}

export interface TierTotals {
  readonly tier: MemoryTier
  readonly orchestratorId: string
  readonly items: number
  readonly bytes: number
}

/** Of one statement: a few megabytes, some tens of milliseconds. */
const MAX_BATCH = 500

export class MemoryItems {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Keeps items, in their order, all or none. One whose identity is there with another text takes its place: the former
   * ends to be valid when the new one begins. Writers of one scope take turns.
   */
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

  /** Everything valid of a scope in the order of its ids, a page at a time: what comes behind `after`. */
  async page(
    scope: MemoryScope,
    filter: {
      readonly tiers: readonly MemoryTier[]
      readonly namespace?: string | undefined
      readonly sessionId?: string | undefined
    },
    after: string,
    limit: number,
  ): Promise<readonly MemoryRow[]> {
    const { rows } = await sql<MemoryRow>`
      select ${COLUMNS} from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and valid_to is null and ${UNEXPIRED}
        and tier = any (${filter.tiers}::text[]) and namespace = coalesce(${filter.namespace ?? null}::text, namespace)
        and (${filter.sessionId ?? null}::text is null or session_id = ${filter.sessionId ?? null})
        and id > ${after}
      order by id limit ${limit}`.execute(this.#database.sql)
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

const UNEXPIRED = sql<boolean>`(expires_at is null or expires_at > now())`

const COLUMNS = sql`
  id, tier, kind, namespace, key, content, tags, metadata, orchestrator_id as "orchestratorId",
  session_id as "sessionId", valid_from as "validFrom", valid_to as "validTo", expires_at as "expiresAt"`

/** `put` as part of a larger transaction. */
export async function putMemories(
  transaction: Transaction<Schema>,
  scope: MemoryScope,
  items: readonly NewMemory[],
): Promise<readonly KeptMemory[]> {
  const kept: KeptMemory[] = []
  await sql`select pg_advisory_xact_lock(hashtextextended(${holderMark(scope.tenant, scope.owner)}, 0))`.execute(
    transaction,
  )
  for (let from = 0; from < items.length; from += MAX_BATCH) {
    kept.push(...(await putBatch(transaction, scope, items.slice(from, from + MAX_BATCH))))
  }
  return kept
}

async function putBatch(
  transaction: Transaction<Schema>,
  scope: MemoryScope,
  items: readonly NewMemory[],
): Promise<readonly KeptMemory[]> {
  const { rows: current } = await sql<{ id: string; identity: string; contentHash: string; validFrom: Date }>`
    select id, identity, content_hash as "contentHash", valid_from as "validFrom" from memory_items
    where tenant = ${scope.tenant} and owner = ${scope.owner} and valid_to is null
      and identity = any (${items.map(({ identity }) => identity)}::text[])`.execute(transaction)
  const wanted = items.map((item) => ({ ...item, id: newMemoryId(), contentHash: hashOf(item.content) }))
  const { kept, inserts, ended, renewed } = planWrites(wanted, current)
  if (ended.length > 0) {
    await sql`
      update memory_items i set valid_to = e.valid_to
      from unnest(${ended.map(({ id }) => id)}::text[], ${ended.map(({ at }) => at)}::timestamptz[]) as e (id, valid_to)
      where i.id = e.id`.execute(transaction)
  }
  if (renewed.length > 0) {
    await sql`
      update memory_items i set expires_at = r.expires_at
      from unnest(${renewed.map(({ id }) => id)}::text[], ${renewed.map((it) => it.expiresAt ?? null)}::timestamptz[])
        as r (id, expires_at)
      where i.id = r.id`.execute(transaction)
  }
  if (inserts.length > 0) await insertMemories(transaction, scope, inserts)
  return kept
}

export interface MemoryInsert extends NewMemory {
  readonly id: string
  readonly contentHash: string
  readonly validTo?: Date | undefined
}

async function insertMemories(
  transaction: Transaction<Schema>,
  scope: MemoryScope,
  items: readonly MemoryInsert[],
): Promise<void> {
  const searched = items.map(({ key, content, tags }) => searchText([key ?? '', content, ...(tags ?? [])].join(' ')))
  const mark = holderMark(scope.tenant, scope.owner)
  const texts = (of: (item: MemoryInsert) => string | null) => sql`${items.map(of)}::text[]`
  const times = (of: (item: MemoryInsert) => Date | undefined) =>
    sql`${items.map((item) => of(item) ?? null)}::timestamptz[]`
  // Both forms of each word: as it stands, and its stem. The stems alone know where they stand.
  await sql`
    insert into memory_items (tenant, owner, id, orchestrator_id, session_id, tier, kind, namespace, key, identity,
                              content_hash, content, tags, metadata, words, word_count, bytes, valid_from, valid_to,
                              expires_at)
    select ${scope.tenant}, ${scope.owner}, id, orchestrator_id, session_id, tier, kind, namespace, key, identity,
           content_hash, content, array(select json_array_elements_text(tags::json)), metadata::json,
           to_tsvector('english', searched) || strip(to_tsvector('simple', searched)) || array_to_tsvector(array[${mark}]),
           word_count, octet_length(content), valid_from, valid_to, expires_at
    from unnest(${texts(({ id }) => id)}, ${texts((it) => storableText(it.orchestratorId))},
                ${texts((it) => it.sessionId ?? null)},
                ${texts(({ tier }) => tier)}, ${texts(({ kind }) => kind)},
                ${texts((it) => storableText(it.namespace))},
                ${texts(({ key }) => (key === undefined ? null : storableText(key)))},
                ${texts(({ identity }) => identity)}, ${texts(({ contentHash }) => contentHash)},
                ${texts(({ content }) => storableText(content))},
                ${texts(({ tags }) => queryableJson(JSON.stringify(tags ?? [])))},
                ${texts(({ metadata }) => queryableJson(JSON.stringify(metadata ?? {})))},
                ${searched}::text[], ${searched.map(wordCount)}::int[],
                ${times(({ validFrom }) => validFrom)}, ${times(({ validTo }) => validTo)},
                ${times(({ expiresAt }) => expiresAt)})
      as m (id, orchestrator_id, session_id, tier, kind, namespace, key, identity, content_hash, content, tags,
            metadata, searched, word_count, valid_from, valid_to, expires_at)`.execute(transaction)
  await insertSources(transaction, items)
}

/** A step that names no event gets it from another item of the same step, where there is one. */
async function insertSources(transaction: Transaction<Schema>, items: readonly MemoryInsert[]): Promise<void> {
  const rows = items.flatMap(({ id, sources }) => (sources ?? []).map((source) => ({ id, ...source })))
  // One after the other: a statement does not see its own rows.
  await putSources(
    transaction,
    rows.filter(({ seq }) => seq !== undefined),
  )
  await putSources(
    transaction,
    rows.filter(({ seq }) => seq === undefined),
  )
}

async function putSources(
  transaction: Transaction<Schema>,
  rows: readonly (MemorySource & { readonly id: string })[],
): Promise<void> {
  if (rows.length === 0) return
  await sql`
    insert into memory_sources (item_id, session_id, ref, epoch, seq)
    select s.item_id, s.session_id, s.ref, coalesce(s.epoch, k.epoch), coalesce(s.seq, k.seq)
    from unnest(${rows.map(({ id }) => id)}::text[], ${rows.map(({ sessionId }) => sessionId)}::text[],
                ${rows.map(({ ref }) => storableText(ref))}::text[],
                ${rows.map(({ epoch }) => epoch ?? null)}::bigint[], ${rows.map(({ seq }) => seq ?? null)}::bigint[])
      as s (item_id, session_id, ref, epoch, seq)
    left join lateral (
      select epoch, seq from memory_sources k
      where k.session_id = s.session_id and k.ref = s.ref and k.seq is not null limit 1) k on s.seq is null
    on conflict do nothing`.execute(transaction)
}
