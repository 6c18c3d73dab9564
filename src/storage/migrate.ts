/**
 * Brings a database to the structure that this version needs. Migrations only go forward: `migrations/NNNN_name.sql`,
 * each in a transaction of its own, and never changed once released.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { sql as sqlText, type Transaction } from 'kysely'
import type { Database } from './database.js'
import type { Schema } from './schema.js'

export interface Migration {
  readonly version: number
  readonly name: string
  /** SHA-256 of the file's text, in hex. */
  readonly checksum: string
}

interface MigrationFile extends Migration {
  readonly text: string
}

const SHIPPED = new URL('./migrations/', import.meta.url)
const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/

/** Any number that no other program takes on the same database. */
const ADVISORY_LOCK = 7_261_540_118

/**
 * Applies what is missing and returns it. Several processes may call this at once: one works, the others wait and find
 * nothing left. Throws one sentence, having changed nothing, when the database is newer than this version or holds
 * another text of a migration.
 */
export async function migrate(database: Database, folder: URL = SHIPPED): Promise<readonly Migration[]> {
  const files = readMigrations(folder)
  const applied: Migration[] = []
  // Ends: each round but the last one applies one of the files.
  for (;;) {
    const migration = await applyNext(database, files)
    if (!migration) return applied
    applied.push(migration)
  }
}

function readMigrations(folder: URL): MigrationFile[] {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  return files.map((file, index) => {
    const [, version, name] = FILE_NAME.exec(file) ?? []
    if (name === undefined || Number(version) !== index + 1) {
      throw new Error(`${file} is not a migration with the next number; expected ${index + 1} as NNNN_name.sql`)
    }
    // A checkout on Windows may have changed the line ends, which change nothing in the database.
    const text = readFileSync(new URL(file, folder), 'utf8').replaceAll('\r\n', '\n')
    return { version: index + 1, name, text, checksum: createHash('sha256').update(text).digest('hex') }
  })
}

/** One step under the lock, which ends with its transaction: a migrator that dies never blocks the next one. */
function applyNext(database: Database, files: readonly MigrationFile[]): Promise<Migration | undefined> {
  return database.sql.transaction().execute(async (transaction) => {
    await sqlText`select pg_advisory_xact_lock(${ADVISORY_LOCK})`.execute(transaction)
    const stored = await storedMigrations(transaction)
    refuseForeign(stored, files)
    const next = files[stored.length]
    return next && apply(transaction, next)
  })
}

async function storedMigrations(transaction: Transaction<Schema>): Promise<Migration[]> {
  await sqlText`
    create table if not exists schema_migrations (
      version int primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`.execute(transaction)
  return transaction
    .selectFrom('schema_migrations')
    .select(['version', 'name', 'checksum'])
    .orderBy('version')
    .execute()
}

function refuseForeign(stored: readonly Migration[], files: readonly MigrationFile[]): void {
  stored.forEach((migration, index) => {
    const file = files[index]
    const title = `migration ${migration.version} (${migration.name})`
    if (!file) throw new Error(`The database has ${title}, which this version does not know; start a newer version`)
    if (migration.version === file.version && migration.checksum === file.checksum) return
    throw new Error(`The database was made by another ${title} than this version has; start the version that made it`)
  })
}

async function apply(transaction: Transaction<Schema>, { text, ...migration }: MigrationFile): Promise<Migration> {
  await sqlText.raw(text).execute(transaction)
  await transaction.insertInto('schema_migrations').values(migration).execute()
  return migration
}
