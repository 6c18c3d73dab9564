/**
 * Meanings of items as vectors of an embedding model, where the database has pgvector: decided when a process starts. They
 * are derived, and can be made again at any time, so no migration knows their table.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Database } from './database.js'
import type { MemoryScope } from './memory-item.js'
import { filterOf, type MemoryFilter, type MemoryHit } from './memory-search.js'
import { hashOf } from './memory-text.js'

export interface EmbeddingSpace {
  readonly model: string
  readonly dimensions: number
}

export interface PendingText {
  readonly id: string
  readonly tenant: string
  readonly owner: string
  readonly content: string
}

/** Longer ones pgvector can index only with half the digits of each number, up to 4,000. */
const MAX_WHOLE_DIMENSIONS = 2_000
/** The first version whose index goes on until enough items of this holder are found. */
const MIN_VERSION = 8
/** Of the nearest so many are looked at; where a filter lets few of them pass, more, and then no more. */
const CANDIDATES = [200, 1_000, 5_000]
/** Of the index: how many candidates it keeps while it looks. */
const EF_SEARCH = 100
/**
 * A holder with no more vectors is searched whole, which is exact: an index that has everybody's misses some. It takes 20 ms
 * for 6,000 vectors of 512 numbers.
 */
const EXACT_UP_TO = 10_000

export class MemoryVectors {
  readonly #database: Database
  readonly #space: EmbeddingSpace
  readonly #exactUpTo: number

  private constructor(database: Database, space: EmbeddingSpace, exactUpTo: number) {
    this.#database = database
    this.#space = space
    this.#exactUpTo = exactUpTo
  }

  /**
   * Makes the table and the index of this space where they are missing. A sentence says why there can be none. Holders with
   * more than `exactUpTo` vectors are searched by the index.
   */
  static async open(
    database: Database,
    space: EmbeddingSpace,
    exactUpTo = EXACT_UP_TO,
  ): Promise<MemoryVectors | string> {
    const missing = await missingExtension(database)
    if (missing !== undefined) return missing
    const index = sql.raw(`memory_vectors_${hashOf(space.model, String(space.dimensions)).slice(0, 16)}`)
    await database.sql.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(${TABLE_LOCK})`.execute(transaction)
      await sql`
        create table if not exists memory_vectors (
          item_id text not null,
          model text not null,
          tenant text not null,
          owner text not null,
          embedding vector not null,
          primary key (item_id, model)
        )`.execute(transaction)
      await sql`create index if not exists memory_vectors_by_holder on memory_vectors (tenant, owner, model)`.execute(
        transaction,
      )
      await sql`
        create index if not exists ${index} on memory_vectors
        using hnsw ((embedding::${typeOf(space)}) ${sql.raw(`${kindOf(space)}_cosine_ops`)}) where model = ${sql.lit(space.model)}`.execute(
        transaction,
      )
    })
    return new MemoryVectors(database, space, exactUpTo)
  }

  get space(): EmbeddingSpace {
    return this.#space
  }

  async put(
    scope: MemoryScope,
    vectors: readonly { readonly id: string; readonly vector: readonly number[] }[],
  ): Promise<void> {
    if (vectors.length === 0) return
    await sql`
      insert into memory_vectors (item_id, model, tenant, owner, embedding)
      select id, ${this.#space.model}, ${scope.tenant}, ${scope.owner}, embedding::vector(${sql.lit(this.#space.dimensions)})
      from unnest(${vectors.map(({ id }) => id)}::text[], ${vectors.map(({ vector }) => JSON.stringify(vector))}::text[])
        as v (id, embedding)
      on conflict (item_id, model) do update set embedding = excluded.embedding`.execute(this.#database.sql)
  }

  /** The items whose meaning is nearest, nearest first; the score is the cosine of the angle between the two. */
  async nearest(
    scope: MemoryScope,
    vector: readonly number[],
    filter: MemoryFilter,
    limit: number,
  ): Promise<readonly MemoryHit[]> {
    let found: readonly MemoryHit[] = []
    const exactly = await this.#hasFew(scope)
    for (const candidates of CANDIDATES) {
      const { hits, looked } = await this.#among(scope, vector, filter, candidates, exactly)
      found = hits.slice(0, limit)
      if (hits.length >= limit || looked < candidates) break
    }
    return found
  }

  /** Of the nearest `candidates` of a scope those that the filter lets pass. */
  async #among(
    scope: MemoryScope,
    vector: readonly number[],
    filter: MemoryFilter,
    candidates: number,
    exactly: boolean,
  ) {
    const type = typeOf(this.#space)
    const distance = sql`embedding::${type} <=> ${JSON.stringify(vector)}::${type}`
    // Behind `offset 0` no index puts anything in order.
    const fence = exactly ? sql`offset 0` : sql``
    return this.#database.sql.transaction().execute(async (transaction) => {
      await sql`set local hnsw.iterative_scan = strict_order`.execute(transaction)
      await sql`set local hnsw.ef_search = ${sql.lit(EF_SEARCH)}`.execute(transaction)
      // The nearest are found by themselves, whatever a planner without statistics thinks of the join.
      const { rows } = await sql<MemoryHit & { passes: boolean }>`
        with nearest as materialized (
          select item_id, distance from (
            select item_id, ${distance} as distance from memory_vectors where ${this.#of(scope)} ${fence}) all_of_them
          order by distance limit ${candidates})
        select n.item_id as id, i.valid_from as "validFrom", 1 - n.distance as score, i.id is not null as passes
        from nearest n left join lateral (
          select id, valid_from from memory_items
          where id = n.item_id and valid_to is null and (expires_at is null or expires_at > now()) ${filterOf(filter)}
        ) i on true
        order by n.distance`.execute(transaction)
      const hits = rows.filter(({ passes }) => passes).map(({ id, validFrom, score }) => ({ id, validFrom, score }))
      return { hits, looked: rows.length }
    })
  }

  async #hasFew(scope: MemoryScope): Promise<boolean> {
    const { rows } = await sql<{ readonly many: number }>`
      select count(*)::int as many from (
        select from memory_vectors where ${this.#of(scope)} limit ${this.#exactUpTo + 1}) few`.execute(
      this.#database.sql,
    )
    return (rows[0]?.many ?? 0) <= this.#exactUpTo
  }

  #of({ tenant, owner }: MemoryScope) {
    return sql`model = ${this.#space.model} and tenant = ${tenant} and owner = ${owner}`
  }

  /** Items behind `after` that have no vector yet, in the order of their ids. */
  async pending(after: string, limit: number): Promise<readonly PendingText[]> {
    const { rows } = await sql<PendingText>`
      select i.id, i.tenant, i.owner, i.content from memory_items i
      where i.id > ${after} and i.valid_to is null and i.tier <> 'scratchpad'
        and not exists (select from memory_vectors v where v.item_id = i.id and v.model = ${this.#space.model})
      order by i.id limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** Counts for the planner, where nobody else does: without it the built-in database does not see that its index helps. */
  async refreshStatistics(): Promise<void> {
    if (this.#database.kind === 'pglite') await sql`analyze memory_vectors`.execute(this.#database.sql)
  }

  /** Removes at most `limit` vectors whose items are gone. No foreign key does it: a process without pgvector deletes too. */
  async purgeOrphans(limit: number): Promise<number> {
    const { rows } = await sql`
      delete from memory_vectors where item_id in (
        select item_id from memory_vectors v where not exists (select from memory_items i where i.id = v.item_id)
        limit ${limit})
      returning item_id`.execute(this.#database.sql)
    return rows.length
  }
}

/** Any number that no other program takes on the same database. */
const TABLE_LOCK = 7_261_540_120

/** As vectors are compared. They are kept as they were made. */
const typeOf = (space: EmbeddingSpace): RawBuilder<unknown> =>
  sql.raw(`${kindOf(space)}(${Math.trunc(space.dimensions)})`)

const kindOf = ({ dimensions }: EmbeddingSpace): 'vector' | 'halfvec' =>
  dimensions > MAX_WHOLE_DIMENSIONS ? 'halfvec' : 'vector'

async function missingExtension({ sql: db }: Database): Promise<string | undefined> {
  const { rows } = await sql<{ version: string }>`
    select default_version as version from pg_available_extensions where name = 'vector'`.execute(db)
  const [available] = rows
  if (!available) return 'the database has no pgvector'
  try {
    await sql`create extension if not exists vector`.execute(db)
  } catch (error) {
    return `pgvector could not be switched on (${error instanceof Error ? error.message : error})`
  }
  const installed = await sql<{ version: string }>`
    select extversion as version from pg_extension where extname = 'vector'`.execute(db)
  const version = installed.rows[0]?.version ?? '0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 0 || minor >= MIN_VERSION ? undefined : `pgvector is ${version}, and 0.8 or newer is needed`
}
