/**
 * Migrations: forward only, one at a time, and never onto a database that they do not know.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import type { Database } from '../../../src/storage/database.js'
import { migrate } from '../../../src/storage/migrate.js'
import { eachEmptyDatabase } from '../../support/databases.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function folderWith(files: Readonly<Record<string, string>>): URL {
  const folder = mkdtempSync(join(tmpdir(), 'migrations-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return pathToFileURL(`${folder}/`)
}

async function tableNames({ sql: db }: Database): Promise<string[]> {
  return (await db.introspection.getTables()).map(({ name }) => name).sort()
}

const FIRST = { '0001_first.sql': 'create table first (id int); create table second (id int);' }

eachEmptyDatabase((open) => {
  test('two migrators at once apply every migration exactly once', async () => {
    const database = await open()

    const [one, other] = await Promise.all([migrate(database), migrate(database)])

    const versions = [...one, ...other].map(({ version }) => version).sort((a, b) => a - b)
    const stored = await database.sql.selectFrom('schema_migrations').select('version').orderBy('version').execute()
    expect(versions).toEqual(stored.map(({ version }) => version))
    expect(versions).toContain(1)
    expect(await tableNames(database)).toEqual(expect.arrayContaining(['sessions', 'events', 'steps']))
  })

  test('later migrations go on where the database stands', async () => {
    const database = await open()
    await migrate(database, folderWith(FIRST))

    const applied = await migrate(database, folderWith({ ...FIRST, '0002_third.sql': 'create table third (id int)' }))

    expect(applied.map(({ name }) => name)).toEqual(['third'])
    expect(await tableNames(database)).toEqual(['first', 'schema_migrations', 'second', 'third'])
  })

  test('a migration that fails leaves nothing of itself', async () => {
    const database = await open()
    const broken = folderWith({
      ...FIRST,
      '0002_broken.sql': 'create table third (id int); select nothing from nowhere',
    })

    await expect(migrate(database, broken)).rejects.toThrow('nowhere')

    expect(await tableNames(database)).toEqual(['first', 'schema_migrations', 'second'])
    expect(await migrate(database, folderWith(FIRST))).toEqual([])
  })

  test('a migration that was changed after its release is refused', async () => {
    const database = await open()
    await migrate(database, folderWith(FIRST))

    const changed = migrate(database, folderWith({ '0001_first.sql': 'create table another (id int)' }))

    await expect(changed).rejects.toThrow('The database was made by another migration 1 (first)')
    expect(await tableNames(database)).not.toContain('another')
  })

  test('line ends of another system are no change', async () => {
    const database = await open()
    await migrate(database, folderWith({ '0001_lines.sql': 'create table first (\n  id int\n)' }))

    expect(await migrate(database, folderWith({ '0001_lines.sql': 'create table first (\r\n  id int\r\n)' }))).toEqual(
      [],
    )
  })

  test('a database that is newer than this version is refused', async () => {
    const database = await open()
    await migrate(database, folderWith({ ...FIRST, '0002_later.sql': 'create table later (id int)' }))

    await expect(migrate(database, folderWith(FIRST))).rejects.toThrow(
      'The database has migration 2 (later), which this version does not know',
    )
  })
})
