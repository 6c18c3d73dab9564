/**
 * Whether a path that Claude Code's file tools name is the session's own. Unlike `locate` it turns nothing: what the tool
 * will open is what was checked.
 */
import { isAbsolute, relative, resolve } from 'node:path'
import { ToolFailure } from '../tools/tool.js'
import { locate } from '../tools/workspace-path.js'
import { pathsIn } from './tool-kinds.js'

/** A sentence for the model when a call names a path outside of all `roots`; the first is where relative paths begin. */
export async function pathRefusal(
  roots: readonly [string, ...string[]],
  tool: string,
  input: Readonly<Record<string, unknown>>,
): Promise<string | undefined> {
  for (const path of pathsIn(tool, input)) {
    const refusal = await refusalOf(roots, path)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

async function refusalOf(roots: readonly [string, ...string[]], path: string): Promise<string | undefined> {
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
