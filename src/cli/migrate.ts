/**
 * `orchestrator-daemon migrate`: brings the database to the structure that this version needs, without starting a node.
 */
import { resolve } from 'node:path'
import type { Config } from '../config/load.js'
import { type Database, openDatabase } from '../storage/database.js'
import { migrate as applyMigrations, type Migration } from '../storage/migrate.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'
import { Output } from './output.js'

export interface MigrateFlags {
  readonly config?: string
  readonly json?: true
}

export async function migrate(flags: MigrateFlags): Promise<void> {
  const output = new Output()
  const { database } = commandSettings({ config: flags.config })
  const place = placeOf(database)
  const applied = await appliedTo(database, output, place)
  if (flags.json) output.json({ database: place, applied: applied.map(({ version, name }) => ({ version, name })) })
  else show(applied, output, place)
}

async function appliedTo(settings: Config['database'], output: Output, place: string): Promise<readonly Migration[]> {
  try {
    const database = await open(settings)
    output.step(`connected to ${place}`)
    return await applyMigrations(database).finally(() => database.close())
  } catch (error) {
    throw new CommandFailure(error instanceof Error ? error.message : String(error), undefined, { cause: error })
  }
}

function open({ url, connectTimeoutMs, directory }: Config['database']): Promise<Database> {
  return openDatabase(
    url === undefined
      ? { kind: 'pglite', directory: resolve(directory) }
      : { kind: 'postgres', url, poolSize: 1, connectTimeoutMs },
  )
}

function show(applied: readonly Migration[], output: Output, place: string): void {
  const { green } = output.colours
  for (const { version, name } of applied) output.line(`${green('✓')} ${String(version).padStart(4, '0')}_${name}`)
  output.line(applied.length === 0 ? `${place} is up to date` : `${place}: ${applied.length} applied`)
}

/** For people: without user, password and options. */
function placeOf({ url, directory }: Config['database']): string {
  if (url === undefined) return resolve(directory)
  const { host, pathname } = new URL(url)
  return `postgres://${host}${pathname}`
}
