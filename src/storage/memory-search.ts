/**
 * Finds items by what they say: by their words (full text, always there), and by their meaning (`memory-vectors`, where the
 * database has pgvector and embeddings are configured).
 *
 * Words are ranked as BM25 does: a rare word says more than a frequent one, and more in a short text than in a long one.
 * Postgres' own ranks know neither, so the database gives the frequencies and counts with them.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Database } from './database.js'
import type { MemoryScope } from './memory-item.js'
import { holderMark, questionOf } from './memory-text.js'
import type { MemoryTier } from './schema.js'

export interface MemoryFilter {
  readonly tiers: readonly MemoryTier[]
  readonly namespace?: string | undefined
  /** The same, but for notes of sessions, which stand in namespaces of their own. */
  readonly profile?: string | undefined
  readonly sessionId?: string | undefined
  /** Of these sessions nothing: what stands in the conversation need not be found. */
  readonly exceptSessionId?: string | undefined
}

export interface MemoryHit {
  readonly id: string
  readonly score: number
  readonly validFrom: Date
}

export interface WordHit extends MemoryHit {
  /** What it has of the words of the question, from 0 to 1: a rare one counts more, and one that no item has counts most. */
  readonly coverage: number
}

/** The saturation of a word that is repeated, and how much the length of a text counts: the usual values. */
const K1 = 1.2
const B = 0.75
/** Words of one question: more are a text, of which the first say what it is about. */
const MAX_TERMS = 40
/** Items that are looked at for one question; beyond it the words that single out fewer must do. */
const MAX_CANDIDATES = 3_000
/** Of these the exact score is counted. */
const MAX_RANKED = 200
/** A word that more items have is frequent, however many they are. */
const FREQUENCY_CAP = 20_000
/** A word as it stands, beside its stem: a bonus for who means exactly this form. */
const EXACT_WEIGHT = 0.3
/** The size of a scope changes slowly, and only its logarithm counts. */
const EXTENT_MS = 60_000
const MAX_EXTENTS = 1_000

interface Term {
  readonly term: string
  readonly frequency: number
  readonly exact: boolean
}

interface Extent {
  readonly items: number
  readonly meanWords: number
  readonly readAt: number
}

export class MemorySearch {
  readonly #database: Database
  readonly #extents = new Map<string, Extent>()
  readonly #onSize: (known: boolean) => void

  /** `onSize` is told with each search whether the size of the memory was known. */
  constructor(database: Database, onSize: (known: boolean) => void = () => undefined) {
    this.#database = database
    this.#onSize = onSize
  }

  /** The best matches by words, best first; newer ones first where they are equal. */
  async byWords(scope: MemoryScope, text: string, filter: MemoryFilter, limit: number): Promise<readonly WordHit[]> {
    const question = questionOf(text)
    const mark = holderMark(scope.tenant, scope.owner)
    const asked = await this.#terms(mark, question.words)
    const terms = asked.filter(({ frequency }) => frequency > 0)
    if (terms.length === 0) return []
    const extent = await this.#extent(scope, mark)
    const weighed = weigh(asked, extent.items)
    const must = [
      ...question.phrases.map((phrase) => sql`and words @@ phraseto_tsquery('english', ${phrase})`),
      ...question.excluded.map((word) => sql`and not words @@ phraseto_tsquery('simple', ${word})`),
    ]
    const driving = drivingTerms(terms)
    const { rows } = await sql<WordHit>`
      with terms as materialized (
        select term, quote_literal(term)::tsquery as asked, weight, share
        from unnest(${weighed.map(({ term }) => term)}::text[], ${weighed.map(({ weight }) => weight)}::float8[],
                    ${weighed.map(({ share }) => share)}::float8[]) as t (term, weight, share)),
      candidates as materialized (
        select id, words, valid_from,
          ${K1}::float8 * (1 - ${B}::float8 + ${B}::float8 * word_count / ${extent.meanWords}::float8) as norm
        from memory_items
        where words @@ ${anyOf(mark, driving)} and valid_to is null and (expires_at is null or expires_at > now())
          ${filterOf(filter)} ${sql.join(must, sql` `)}
        order by valid_from desc limit ${MAX_CANDIDATES}),
      ranked as (
        select c.id, c.words, c.valid_from, c.norm
        from candidates c join terms t on c.words @@ t.asked
        group by c.id, c.words, c.valid_from, c.norm
        order by sum(t.weight) / (1 + c.norm) desc, c.valid_from desc limit ${MAX_RANKED})
      select r.id, r.valid_from as "validFrom",
        sum(t.weight * u.times * (${K1}::float8 + 1) / (u.times + r.norm)) as score, sum(t.share) as coverage
      from ranked r
      cross join lateral (
        select lexeme, coalesce(cardinality(positions), 1) as times from unnest(r.words)) u
      join terms t on t.term = u.lexeme
      group by r.id, r.valid_from order by score desc, r.valid_from desc limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** The words of a question that say something, with how many items of the scope have each. */
  async #terms(mark: string, words: string): Promise<readonly Term[]> {
    if (words === '') return []
    const { rows } = await sql<Term>`
      with stems as (select unnest(tsvector_to_array(to_tsvector('english', ${words}))) as term),
      forms as (select unnest(tsvector_to_array(to_tsvector('simple', ${words}))) as term),
      telling as (
        select term, false as exact from stems
        union all
        select term, exists (select from stems) from forms
        where not exists (select from stems s where s.term = forms.term)
          and (not exists (select from stems) or numnode(plainto_tsquery('english', term)) > 0)
        limit ${MAX_TERMS})
      select term, exact, (
        select count(*) from (
          select from memory_items
          where words @@ (quote_literal(${mark}) || ' & ' || quote_literal(term))::tsquery and valid_to is null
          limit ${FREQUENCY_CAP}) m) as frequency
      from telling`.execute(this.#database.sql)
    return rows
  }

  async #extent(scope: MemoryScope, mark: string): Promise<Extent> {
    const known = this.#extents.get(mark)
    const isFresh = known !== undefined && performance.now() - known.readAt < EXTENT_MS
    this.#onSize(isFresh)
    if (isFresh) return known
    // Index memory_items_by_holder alone.
    const { rows } = await sql<{ items: number; meanWords: number }>`
      select count(*) as items, coalesce(avg(word_count), 1)::float8 as "meanWords" from memory_items
      where tenant = ${scope.tenant} and owner = ${scope.owner} and valid_to is null`.execute(this.#database.sql)
    const extent = { items: rows[0]?.items ?? 0, meanWords: Math.max(rows[0]?.meanWords ?? 1, 1) }
    const read = { ...extent, readAt: performance.now() }
    this.#extents.delete(mark)
    this.#extents.set(mark, read)
    for (const [oldest] of this.#extents.size > MAX_EXTENTS ? this.#extents : []) {
      this.#extents.delete(oldest)
      break
    }
    return read
  }
}

/** What each word says, and what share that is of all that is asked. A form beside its stem asks nothing more. */
function weigh(terms: readonly Term[], items: number) {
  const weighed = terms.map(({ term, frequency, exact }) => ({ term, exact, rarity: rarity(frequency, items) }))
  const all = weighed.reduce((sum, { exact, rarity }) => sum + (exact ? 0 : rarity), 0)
  return weighed.map(({ term, exact, rarity }) => ({
    ...{ term, weight: rarity * (exact ? EXACT_WEIGHT : 1), share: exact ? 0 : rarity / all },
  }))
}

/** Above zero also for a word that every item has. */
const rarity = (frequency: number, items: number): number =>
  Math.log(1 + (Math.max(items, frequency) - frequency + 0.5) / (frequency + 0.5))

/** The rarest words first, as many as bring enough candidates: frequent ones only add to the score of what these find. */
function drivingTerms(terms: readonly Term[]): readonly string[] {
  const rarest = terms.toSorted((a, b) => a.frequency - b.frequency)
  const chosen: string[] = []
  let found = 0
  for (const { term, frequency } of rarest) {
    if (chosen.length > 0 && found + frequency > MAX_CANDIDATES) break
    chosen.push(term)
    found += frequency
  }
  return chosen
}

const anyOf = (mark: string, terms: readonly string[]): RawBuilder<unknown> =>
  sql`${`${quoted(mark)} & (${terms.map(quoted).join(' | ')})`}::tsquery`

const quoted = (word: string): string => `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

/** Conditions on `memory_items`. */
export function filterOf({ tiers, namespace, profile, sessionId, exceptSessionId }: MemoryFilter): RawBuilder<unknown> {
  const conditions = [
    sql`and tier = any (${tiers}::text[])`,
    ...(namespace === undefined ? [] : [sql`and namespace = ${namespace}`]),
    ...(profile === undefined ? [] : [sql`and (namespace = ${profile} or tier = 'scratchpad')`]),
    ...(sessionId === undefined ? [] : [sql`and session_id = ${sessionId}`]),
    ...(exceptSessionId === undefined ? [] : [sql`and session_id is distinct from ${exceptSessionId}`]),
  ]
  return sql.join(conditions, sql` `)
}
