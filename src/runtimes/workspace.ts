/**
 * A session's directory: made before its first turn, compared after each tool that changed it, restored elsewhere.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { TMP_DIRECTORY } from './tools/bash.js'

/** What one session may carry from worker to worker. */
export const MAX_WORKSPACE_BYTES = 64 * 1024 * 1024
const MAX_WORKSPACE_FILES = 10_000

export interface WorkspaceFile {
  /** Relative to the workspace, with `/`. */
  readonly path: string
  /** Permission bits. */
  readonly mode: number
  readonly bytes: Buffer
  /** SHA-256 of `bytes`, in hex. */
  readonly hash: string
}

export type Changes =
  | { readonly status: 'ok'; readonly changed: readonly WorkspaceFile[]; readonly deleted: readonly string[] }
  /** The workspace as a whole is beyond what is carried; `reason` is a sentence for the user. */
  | { readonly status: 'too_large'; readonly reason: string }

/** The directory of a session below `root`, made when it is not there. Only our own user may enter it. */
export async function prepareWorkspace(root: string, sessionId: string): Promise<string> {
  if (!/^[A-Za-z0-9_-]+$/.test(sessionId)) throw new Error(`a session id cannot name a directory: ${sessionId}`)
  const directory = resolve(root, sessionId)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}

/**
 * What differs from `known` (path → hash of the last committed state). Regular files only: symbolic links, empty
 * directories and temporary files (`.tmp`) do not travel.
 */
export async function changedFiles(directory: string, known: ReadonlyMap<string, string>): Promise<Changes> {
  const changed: WorkspaceFile[] = []
  const seen = new Set<string>()
  let total = 0
  for await (const path of regularFiles(directory)) {
    if (seen.size === MAX_WORKSPACE_FILES) return tooLarge(`more than ${MAX_WORKSPACE_FILES} files`)
    const file = await readWhole(directory, path, MAX_WORKSPACE_BYTES - total)
    if (file === 'missing') continue
    if (file === 'too_large') return tooLarge(`more than ${MAX_WORKSPACE_BYTES} bytes`)
    seen.add(path)
    total += file.bytes.length
    if (known.get(path) !== file.hash) changed.push(file)
  }
  return { status: 'ok', changed, deleted: [...known.keys()].filter((path) => !seen.has(path)) }
}

const tooLarge = (what: string): Changes => ({
  status: 'too_large',
  reason: `the workspace holds ${what}; delete what is not needed, or run the workers on a shared WORKSPACE_ROOT`,
})

async function* regularFiles(directory: string, below = ''): AsyncGenerator<string, void, undefined> {
  const entries = await readdir(join(directory, below), { withFileTypes: true })
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (path === TMP_DIRECTORY) continue
    if (entry.isDirectory()) yield* regularFiles(directory, path)
    else if (entry.isFile()) yield path
  }
}

async function readWhole(directory: string, path: string, maxBytes: number) {
  const file = await openExisting(join(directory, path))
  if (file === undefined) return 'missing'
  try {
    const status = await file.stat()
    if (!status.isFile()) return 'missing'
    if (status.size > maxBytes) return 'too_large'
    const bytes = await file.readFile()
    return { path, mode: status.mode & 0o777, bytes, hash: hashOf(bytes) }
  } finally {
    await file.close()
  }
}

/** Undefined when the file has gone, or become a link, since it was listed. */
async function openExisting(path: string) {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ELOOP')) {
      return undefined
    }
    throw thrown
  }
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Makes the directory hold exactly `files`: what an interrupted tool left there is removed. */
export async function restoreFiles(
  directory: string,
  files: Iterable<Pick<WorkspaceFile, 'path' | 'mode' | 'bytes'>>,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // Emptied first, so no link that a tool left behind can lead a path out of the directory.
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true })
  for (const { path, mode, bytes } of files) {
    const target = resolve(directory, path)
    if (!target.startsWith(resolve(directory) + sep)) throw new Error(`a stored path leaves the workspace: ${path}`)
    await mkdir(dirname(target), { recursive: true })
    const file = await open(target, 'w', mode)
    await file.writeFile(bytes)
    await file.close()
    await chmod(target, mode)
  }
}
