/**
 * The content words of a text as the database stems them, one by one: whether a question shares any with its evidence.
 */
import { sql } from 'kysely'
import type { Database } from '../../src/storage/database.js'

/** Texts repeat: talk around the facts comes from a small store. */
const known = new Map<string, Promise<readonly string[]>>()

export function contentWords(database: Database, text: string): Promise<readonly string[]> {
  const words = known.get(text) ?? stems(database, text)
  known.set(text, words)
  return words
}

async function stems({ sql: db }: Database, text: string): Promise<readonly string[]> {
  const { rows } = await sql<{ words: string[] }>`
    select tsvector_to_array(to_tsvector('english', ${text})) as words`.execute(db)
  return rows[0]?.words ?? []
}
