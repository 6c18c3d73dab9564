/**
 * Takes the directory of a PGlite database for this process, and says what to do when the file system does not let it.
 */
import { accessSync, constants, existsSync, mkdirSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { type DirectoryLock, lockDirectory } from './directory-lock.js'

export interface ClaimedDirectory {
  /** Without links. */
  readonly path: string
  readonly lock: DirectoryLock
}

const OURS = constants.R_OK | constants.W_OK | constants.X_OK

/** How the trouble reads, and how it ends, besides choosing another folder. */
type Mending = readonly [trouble: string, remedy: string]

const NOT_WRITABLE: Mending = ['may not be written by {user}', 'let that user write there']
const READ_ONLY: Mending = ['is on a read-only disk', 'mount a volume that can be written there']
const IN_THE_WAY: Mending = ['is not a directory', 'move it away']
const FULL: Mending = ['is on a full disk', 'make room']

/** Refusals of the file system that an operator can mend; others are shown as they are. */
const MENDINGS: Readonly<Record<string, Mending>> = {
  EACCES: NOT_WRITABLE,
  EPERM: NOT_WRITABLE,
  EROFS: READ_ONLY,
  ENOTDIR: IN_THE_WAY,
  EEXIST: IN_THE_WAY,
  ENOSPC: FULL,
}

/**
 * Makes the directory when it is absent and locks it. @throws Error with one sentence that names the folder to mend, or
 * the holder when it is in use.
 */
export function claimDirectory(directory: string): ClaimedDirectory {
  try {
    mkdirSync(directory, { recursive: true })
    const path = realpathSync(directory)
    accessSync(path, OURS)
    return { path, lock: lockDirectory(path) }
  } catch (error) {
    throw explained(directory, error as NodeJS.ErrnoException)
  }
}

function explained(directory: string, error: NodeJS.ErrnoException): Error {
  const mending = MENDINGS[error.code ?? '']
  if (mending === undefined) return error
  const [trouble, remedy] = mending
  const user = process.getuid === undefined ? 'this user' : `user ${process.getuid()}`
  const folder = folderOf(error) ?? directory
  const isLocks = folder !== error.path && error.path?.startsWith(`${directory}.`)
  return new Error(
    `the data directory ${directory} cannot be used: ${folder}${isLocks ? ', where its lock is kept,' : ''} ` +
      `${trouble.replace('{user}', user)} (${error.code}); ${remedy}, or set DATA_DIR to another folder`,
    { cause: error },
  )
}

/** What refused: the thing asked about itself, or the nearest existing folder above what could not be made. */
function folderOf({ path }: NodeJS.ErrnoException): string | undefined {
  let folder = path
  while (folder !== undefined && !existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}
