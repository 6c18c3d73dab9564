/**
 * Server programs of this machine that are new enough.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const MIN_REDIS = 7
export const MIN_POSTGRES = 15

const POSTGRES_HOMES = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt']

/** A binary that is new enough, or a note on every one that is not. */
export type Found = { readonly path: string } | { readonly tooOld: readonly string[] }

/** `redis-server` 7 or newer from the PATH, or `valkey-server`, which calls itself 7.2 or newer. */
export const findRedis = (): Promise<Found> =>
  firstNewEnough(
    pathFolders().flatMap((folder) => [join(folder, 'redis-server'), join(folder, 'valkey-server')]),
    MIN_REDIS,
  )

/** The folder's `postgres`, 15 or newer, that has `initdb` beside it; Debian keeps it outside the PATH. */
export const findPostgres = (): Promise<Found> =>
  firstNewEnough(
    [...postgresFolders(), ...pathFolders()].map((folder) => join(folder, 'postgres')).filter(hasInitdb),
    MIN_POSTGRES,
  )

const hasInitdb = (path: string): boolean => existsSync(path) && existsSync(join(dirname(realpathSync(path)), 'initdb'))

const pathFolders = (): string[] => [
  ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
  '/usr/bin',
  '/usr/sbin',
  '/usr/local/bin',
]

function postgresFolders(): string[] {
  return POSTGRES_HOMES.filter((home) => existsSync(home))
    .flatMap((home) =>
      readdirSync(home).map((name) => ({ home, name, version: Number(/(\d+)$/.exec(name)?.[1] ?? 0) })),
    )
    .filter(({ home, name }) => home === '/usr/lib/postgresql' || name.startsWith('postgresql@'))
    .sort((a, b) => b.version - a.version)
    .map(({ home, name }) => join(home, name, 'bin'))
}

async function firstNewEnough(candidates: readonly string[], minimum: number): Promise<Found> {
  const tooOld: string[] = []
  for (const path of new Set(candidates)) {
    if (!isExecutable(path)) continue
    const version = await majorVersion(path)
    if (version >= minimum) return { path }
    tooOld.push(`${path} (version ${version})`)
  }
  return { tooOld }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false // Absent or not ours to run: either way no candidate.
  }
}

// `Redis server v=7.0.15 sha=…` and `postgres (PostgreSQL) 15.18 (Debian …)`.
async function majorVersion(path: string): Promise<number> {
  const { stdout } = await run(path, ['--version'])
  return Number(/(?:v=|\) )(\d+)/.exec(stdout)?.[1] ?? 0)
}
