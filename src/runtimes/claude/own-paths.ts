/**
 * Whether a path that Claude Code's file tools name is the session's own. Unlike `locate` it turns nothing: what the tool
 * will open is what was checked.
 */
import { isAbsolute, relative, resolve } from 'node:path'
import { ToolFailure } from '../tools/tool.js'
import { locate } from '../tools/workspace-path.js'
import { pathIn } from './tool-kinds.js'

/** A sentence for the model when a call names a path outside of all `roots`; the first is where relative paths begin. */
export async function pathRefusal(
  roots: readonly [string, ...string[]],
  tool: string,
  input: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  const path = pathIn(tool, input)
  if (path === undefined) return undefined
  const wanted = resolve(roots[0], path)
  const root = roots.find((each) => isBelow(each, wanted))
  if (root === undefined) return `The path ${path} leads out of the workspace; use a path relative to the workspace`
  try {
    await locate(root, wanted)
    return undefined
  } catch (thrown) {
    if (thrown instanceof ToolFailure) return thrown.message
    throw thrown
  }
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path)
  return way === '' || (!way.startsWith('..') && !isAbsolute(way))
}
