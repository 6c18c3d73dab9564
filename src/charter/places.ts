/**
 * Which place of the machine a path means, and what kind of place that is. Text alone decides: `.` and `..` are resolved,
 * the disk is not asked, and a link that would make a path mean another place has to be allowed first.
 */
import { posix } from 'node:path'
import type { Field } from './shell/field.js'

/** Stands for one file name that is not known; never part of a path. */
const NAME_MARK = '\uE000'
/** A part of a file name that a pattern matches. */
const GLOB_MARK = '\uE001'
/** Stands for a path that leads downward. */
const BELOW_MARK = '\uE002'

export type Zone =
  /** The workspace as a whole, or its history. */
  | 'whole'
  | 'workspace'
  /** /tmp and the like. */
  | 'scratch'
  | 'harmless-device'
  | 'device'
  | 'secret'
  /** Files of other sessions, and of the service. */
  | 'foreign'
  /** Files of the operating system. */
  | 'system'
  | 'outside'
  | 'unknown'

export interface Place {
  /** Absolute and resolved; undefined when nobody can say. */
  readonly path: string | undefined
}

export interface PlacesOptions {
  readonly workspace: string
  /** Paths that belong to the service: other sessions' workspaces, its data, its settings. */
  readonly foreign?: readonly string[]
}

/** What `~` means. A path of its own: whatever a session's real home is, its secrets are under this name here. */
export const HOME = '/home/agent'

const SCRATCH = ['/tmp', '/var/tmp', '/dev/shm']
const HARMLESS_DEVICES = /^\/dev\/(null|zero|full|random|urandom|tty|stdin|stdout|stderr|fd(\/.*)?)$/
const SYSTEM = /^\/(etc|usr|bin|sbin|lib|lib32|lib64|boot|sys|proc|dev|var|opt|srv|root|run|snap|nix)(\/|$)/
const SECRET = new RegExp(
  [
    '^/etc/(passwd|shadow|gshadow|group|sudoers|master\\.passwd|security|krb5\\.keytab|ssl/private|ssh/.*key)(-|$|/)',
    '^/etc/sudoers\\.d',
    '^/proc/[^/]+/(environ|mem|fd|maps|root|cwd|cmdline)(/|$)',
    '^/(var/)?run/(secrets|docker\\.sock)',
    '/\\.(ssh|gnupg|aws|azure|kube|docker|password-store|mozilla)(/|$)',
    '/\\.(netrc|pgpass|my\\.cnf|git-credentials|pypirc|vault-token|bash_history|zsh_history|claude\\.json)$',
    '/\\.claude/\\.credentials',
    '/\\.config/(gcloud|gh|hub|op|sops)(/|$)',
    '/id_(rsa|dsa|ecdsa|ed25519)$',
    '^/root(/|$)',
    // What an agent's process keeps for itself, beside the scratch that its commands get.
    '^/tmp/cc-[^/]+/c(/|$)',
    '^/(home|Users)/[^/]+/\\.(npmrc|env)$',
  ].join('|'),
)
/** What a pattern, or a directory that is read with all below it, must not contain. */
const SECRET_FILES = [
  ...['/etc/shadow', '/etc/passwd', '/etc/gshadow', '/etc/sudoers', '/root/.ssh/id_rsa', '/root/.bash_history'],
  ...['/proc/self/environ', '/proc/1/environ', '/run/secrets/token', '/var/run/docker.sock'],
  ...[`${HOME}/.ssh/id_rsa`, `${HOME}/.ssh/id_ed25519`, `${HOME}/.aws/credentials`, `${HOME}/.netrc`],
  ...[`${HOME}/.docker/config.json`, `${HOME}/.kube/config`, `${HOME}/.git-credentials`, `${HOME}/.npmrc`],
  ...[`${HOME}/.gnupg/secring.gpg`, `${HOME}/.bash_history`, `${HOME}/.config/gh/hosts.yml`],
]

export class Places {
  readonly workspace: string
  readonly #foreign: readonly string[]

  constructor({ workspace, foreign = [] }: PlacesOptions) {
    this.workspace = posix.resolve('/', workspace)
    this.#foreign = foreign.map((path) => posix.resolve('/', path))
  }

  /** The places that a word means, from each of the directories that the shell may be in. */
  resolve(field: Field, directories: readonly string[] | undefined): Place[] {
    const marked = markedPath(field)
    if (marked === undefined) return [{ path: undefined }]
    if (marked.startsWith('/')) return [{ path: normalized(marked) }]
    if (marked === '~' || marked.startsWith('~/')) return [{ path: normalized(`${HOME}/${marked.slice(2)}`) }]
    if (directories === undefined) return [{ path: undefined }]
    return directories.map((directory) => ({ path: normalized(`${directory}/${marked}`) }))
  }

  zoneOf({ path }: Place): Zone {
    if (path === undefined) return 'unknown'
    const { workspace } = this
    if (isWithin(workspace, path)) return isWhole(workspace, path) ? 'whole' : 'workspace'
    if (this.#foreign.some((root) => isWithin(root, path))) return 'foreign'
    if (SECRET.test(path) || hidesSecret(path)) return 'secret'
    if (HARMLESS_DEVICES.test(path)) return 'harmless-device'
    if (SCRATCH.some((root) => isWithin(root, path) && !isAllOf(root, path))) return 'scratch'
    if (isWithin('/dev', path)) return 'device'
    if (SYSTEM.test(path) || path === '/' || path === `/${GLOB_MARK}`) return 'system'
    return 'outside'
  }

  /** Whether everything below a place, read as a whole, would show what nobody may see. */
  containsSecrets({ path }: Place): boolean {
    if (path === undefined || isWithin(this.workspace, path)) return false
    const base = path.split(/[\uE000-\uE002]/)[0] ?? ''
    const root = base === path ? path : posix.dirname(`${base}x`)
    return [...SECRET_FILES, this.workspace, ...this.#foreign].some((secret) => isWithin(root, secret))
  }
}

/** The path with marks in place of holes; undefined when it may lead anywhere. */
function markedPath(field: Field): string | undefined {
  const marks = { name: NAME_MARK, glob: GLOB_MARK, below: BELOW_MARK }
  let path = ''
  for (const piece of field) {
    if (typeof piece === 'string') path += piece.replace(/[\uE000-\uE002]/g, '?')
    else if (piece.hole === 'any') return undefined
    else path += marks[piece.hole]
  }
  const parts = path.split('/')
  // A pattern behind a dot matches `..` too; and what leads down some way cannot be climbed up again.
  if (parts.some((part) => /^\.+[\uE000\uE001]+$/.test(part))) return undefined
  if (parts.includes('..') && path.includes(BELOW_MARK)) return undefined
  return path
}

const normalized = (path: string): string => {
  const clean = posix.normalize(path)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}

export const isWithin = (root: string, path: string): boolean =>
  path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`)

/** The directory itself, or a bare pattern for everything in it. */
const isAllOf = (root: string, path: string): boolean => path === root || path === `${root}/${GLOB_MARK}`

const isWhole = (workspace: string, path: string): boolean =>
  isAllOf(workspace, path) || path === `${workspace}/.git` || path === `${workspace}/${GLOB_MARK}${GLOB_MARK}`

/** Whether a pattern outside of the workspace may mean a secret file. */
function hidesSecret(path: string): boolean {
  if (!/[\uE000-\uE002]/.test(path)) return false
  const source = path
    .replace(/[.+^$(){}|\\?*[\]]/g, '\\$&')
    .replace(/[\uE000\uE001]/g, '[^/]*')
    .replace(/\uE002/g, '.*')
  const pattern = new RegExp(`^${source}$`)
  return SECRET_FILES.some((secret) => pattern.test(secret))
}

/** For people. */
export const shownPath = ({ path }: Place): string =>
  path === undefined ? 'a path that is only known when the command runs' : path.replace(/[\uE000-\uE002]/g, '*')
