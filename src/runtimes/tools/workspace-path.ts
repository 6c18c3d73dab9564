/**
 * Paths that a model names, turned into paths that are certainly inside the session's workspace.
 */
import { lstat, realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { ToolFailure } from './tool.js'

export interface Location {
  /** Absolute and free of symbolic links, so opening it with O_NOFOLLOW reaches exactly what was checked. */
  readonly absolute: string
  /** As the model sees it: relative to the workspace, `.` for the workspace itself. */
  readonly shown: string
}

/**
 * The place that `path` means, existing or not. Symbolic links are followed while they stay inside. An absolute path is
 * taken relative to the workspace unless it lies in there already.
 * @throws ToolFailure when the path leads out of the workspace.
 */
export async function locate(workspace: string, path: string): Promise<Location> {
  const root = await realpath(workspace)
  const wanted = lexical(root, workspace, path)
  const absolute = await realLocation(wanted)
  if (!isInside(root, absolute)) throw outside(path)
  return { absolute, shown: relative(root, absolute) || '.' }
}

/** Like `locate`, but for the directory entry itself: a symbolic link at the end of `path` is not followed. */
export async function locateEntry(workspace: string, path: string): Promise<Location> {
  const root = await realpath(workspace)
  const wanted = lexical(root, workspace, path)
  if (wanted === root) return { absolute: root, shown: '.' }
  const absolute = join(await realLocation(dirname(wanted)), basename(wanted))
  if (!isInside(root, absolute)) throw outside(path)
  return { absolute, shown: relative(root, absolute) }
}

/** What the text alone says, before the disk is asked. */
function lexical(root: string, workspace: string, path: string): string {
  if (path.includes('\0')) throw new ToolFailure('A path may not contain a NUL character')
  const wanted = resolve(root, isAbsolute(path) ? insideWorkspace(root, workspace, path) : path)
  if (!isInside(root, wanted)) throw outside(path)
  return wanted
}

function insideWorkspace(root: string, workspace: string, path: string): string {
  const base = [root, resolve(workspace)].find((known) => isInside(known, path))
  // `/../etc` must not become harmless by being resolved at the file system's root first.
  return base === undefined ? `.${sep}${path}` : relative(base, path)
}

/** Follows links in the part of `path` that exists; the rest is to be created below it. */
async function realLocation(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown
  }
  // Something that is there and still has no real path is a link to nowhere: creating it would write where it points.
  if (await exists(path)) throw new ToolFailure('The path goes through a symbolic link that leads nowhere')
  return join(await realLocation(dirname(path)), basename(path))
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (thrown) {
    if (isMissing(thrown)) return false
    throw thrown
  }
}

const isMissing = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'

const isInside = (root: string, path: string): boolean => path === root || path.startsWith(root + sep)

const outside = (path: string): ToolFailure =>
  new ToolFailure(`The path ${path} leads out of the workspace; use a path relative to the workspace`)
