/**
 * file_list and file_delete: what the workspace holds, and taking things out of it.
 */
import type { Stats } from 'node:fs'
import { lstat, readdir, rm, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { pathSchema } from './files.js'
import { defineTool, type Tool, ToolFailure } from './tool.js'
import { type Location, locate, locateEntry } from './workspace-path.js'

/** A listing that a model can still read. */
export const MAX_ENTRIES = 1_000
/** Shown but not entered by a recursive listing: thousands of files that nobody asks about. */
const CLOSED_DIRECTORIES: ReadonlySet<string> = new Set(['.git', 'node_modules'])

interface Entry {
  readonly name: string
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink' | 'other'
  readonly size: number
  readonly modified: string
}

export const fileList: Tool = defineTool({
  name: 'file_list',
  description: `Lists a directory of the workspace, at most ${MAX_ENTRIES} entries; contents of .git and node_modules only when named.`,
  input: z.object({
    path: pathSchema.describe('relative to the workspace; "." is the workspace'),
    recursive: z.boolean().default(false),
  }),
  shared: 'workspace',
  effect: () => 'read',
  async run({ path, recursive }, { workspace, signal }) {
    const place = await locate(workspace, path)
    const { files, more } = await list(place, recursive, signal)
    const note = `more than ${MAX_ENTRIES} entries; list a subdirectory`
    return { path: place.shown, count: files.length, files, ...(more && { truncated: true, note }) }
  },
})

/** Level by level, so that a cut listing still shows the top completely. Symbolic links are not entered. */
async function list(place: Location, recursive: boolean, signal: AbortSignal) {
  const files: Entry[] = []
  const waiting: Location[] = [place]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    signal.throwIfAborted()
    for (const name of (await readdir(next.absolute)).sort()) {
      if (files.length === MAX_ENTRIES) return { files, more: true }
      const child = { absolute: join(next.absolute, name), shown: join(next.shown, name) }
      const entry = await entryOf(name, child)
      if (entry === undefined) continue
      files.push(entry)
      if (recursive && entry.type === 'directory' && !CLOSED_DIRECTORIES.has(name)) waiting.push(child)
    }
  }
  return { files, more: false }
}

async function entryOf(name: string, place: Location): Promise<Entry | undefined> {
  const status = await statusOf(place.absolute)
  if (status === undefined) return undefined
  return {
    name,
    path: place.shown,
    type: typeOf(status),
    size: status.size,
    modified: status.mtime.toISOString(),
  }
}

export const fileDelete: Tool = defineTool({
  name: 'file_delete',
  description: 'Deletes a file, or with recursive a directory and what it holds. Nothing there is no failure.',
  input: z.object({ path: pathSchema.describe('relative to the workspace'), recursive: z.boolean().default(false) }),
  shared: 'workspace',
  effect: () => 'idempotent',
  async run({ path, recursive }, { workspace }) {
    const place = await locateEntry(workspace, path)
    if (place.shown === '.') throw new ToolFailure('The workspace itself cannot be deleted')
    const status = await statusOf(place.absolute)
    if (status === undefined) return { path: place.shown, deleted: false, type: 'missing' }
    if (!status.isDirectory()) await unlink(place.absolute)
    else if (recursive) await rm(place.absolute, { recursive: true, force: true })
    else await rmdir(place.absolute)
    return { path: place.shown, deleted: true, type: typeOf(status) }
  },
})

/** The entry's own status; undefined when it is not there, or has gone since it was listed. */
async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined
    throw thrown
  }
}

function typeOf(status: Stats): Entry['type'] {
  if (status.isFile()) return 'file'
  if (status.isDirectory()) return 'directory'
  return status.isSymbolicLink() ? 'symlink' : 'other'
}
