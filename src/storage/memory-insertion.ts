/**
 * How items come into memory: what is there already is looked at, and what a new one replaces ends to be valid.
 */
import { sql, type Transaction } from 'kysely'
import { newMemoryId } from '../protocol/ids.js'
import type { MemoryScope, MemorySource, NewMemory } from './memory-item.js'
import { hashOf, holderMark, searchText, wordCount } from './memory-text.js'
import { type KeptMemory, planWrites } from './memory-writes.js'
import type { Schema } from './schema.js'
import { queryableJson, storableText } from './text.js'

/** Of one statement: a few megabytes, some tens of milliseconds. */
const MAX_BATCH = 500

/**
 * Keeps items, in their order. One whose identity is there with another text takes its place: the former ends to be valid
 * when the new one begins. Writers of one scope take turns, until the transaction ends.
 */
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

interface MemoryInsert extends NewMemory {
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
