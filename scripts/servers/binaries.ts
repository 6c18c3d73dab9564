/**
 * Where the server binaries come from: this machine, or the package manager of a Debian or Ubuntu that we are root on.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const MIN_REDIS = 7
export const MIN_POSTGRES = 15

/** Package mirrors can be slow, but a download that takes longer is not going to end. */
const INSTALL_TIMEOUT_MS = 600_000

const POSTGRES_HOMES = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt']
const POLICY_FILE = '/usr/sbin/policy-rc.d'

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

let installing: Promise<void> | undefined

export const canInstall = (): boolean =>
  process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get')

/** Installs both servers with apt-get, once per process, without starting them as services. */
export function installServers(): Promise<void> {
  installing ??= install()
  return installing
}

async function install(): Promise<void> {
  process.stderr.write('Installing redis-server and postgresql with apt-get, once; this takes a minute …\n')
  const hadPolicy = existsSync(POLICY_FILE)
  // Debian asks this file before it starts a service; 101 forbids it.
  if (!hadPolicy) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await apt('update', '-q')
    await apt('install', '-y', '-q', '--no-install-recommends', '--no-upgrade', 'redis-server', 'postgresql')
  } finally {
    if (!hadPolicy) rmSync(POLICY_FILE, { force: true })
  }
}

async function apt(...args: string[]): Promise<void> {
  await run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  })
}
