/**
 * Decides how a private server is made: by a program of this machine, or in a container.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Found, findPostgres, findRedis, MIN_POSTGRES, MIN_REDIS } from './binaries.js'

const run = promisify(execFile)

/** A Docker daemon that takes longer to say its version is not one to start databases on. */
const DOCKER_TIMEOUT_MS = 5_000

export type Source = { readonly kind: 'binary'; readonly path: string } | { readonly kind: 'container' }

interface Wanted {
  readonly name: string
  readonly looked: string
  readonly find: () => Promise<Found>
}

const REDIS: Wanted = {
  name: `Redis ${MIN_REDIS} or newer`,
  looked: 'redis-server and valkey-server on the PATH',
  find: findRedis,
}

const POSTGRES: Wanted = {
  name: `PostgreSQL ${MIN_POSTGRES} or newer`,
  looked: 'postgres and initdb on the PATH and under /usr/lib/postgresql/*/bin',
  find: findPostgres,
}

export const redisSource = (): Promise<Source> => sourceOf(REDIS)
export const postgresSource = (): Promise<Source> => sourceOf(POSTGRES)

async function sourceOf(wanted: Wanted): Promise<Source> {
  const found = await wanted.find()
  if ('path' in found) return { kind: 'binary', path: found.path }
  if (await dockerAnswers()) return { kind: 'container' }
  throw new Error(missing(wanted, found.tooOld))
}

export async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: DOCKER_TIMEOUT_MS })
    return true
  } catch {
    return false // No client or no daemon: the next way is tried.
  }
}

function missing(wanted: Wanted, tooOld: readonly string[]): string {
  const old = tooOld.length === 0 ? '' : `; too old: ${tooOld.join(', ')}`
  return (
    `${wanted.name} is needed and was not found (looked for ${wanted.looked}, and a Docker daemon${old}): ` +
    'install it, or start Docker'
  )
}
