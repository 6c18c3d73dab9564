/**
 * Claude Code's own tools: which of them a session has, what a crash may do to each, and the paths that they name.
 */
import type { EffectClass } from '../runtime.js'

/**
 * Those that work in the workspace and end with their call. Left out: what asks or shows a terminal's user something,
 * schedules or goes on after the turn, and what reaches for the net beside the model (web_fetch stands ready in llm
 * sessions, with a guard against private addresses).
 */
export const WORKSPACE_TOOLS = ['Bash', 'Edit', 'Glob', 'Grep', 'NotebookEdit', 'Read', 'Write'] as const

const EFFECTS: ReadonlyMap<string, EffectClass> = new Map([
  ['Read', 'read'],
  ['Glob', 'read'],
  ['Grep', 'read'],
  ['Edit', 'idempotent'],
  ['Write', 'idempotent'],
  ['NotebookEdit', 'idempotent'],
  // Agents' own calls are noted one by one.
  ['Agent', 'idempotent'],
  ['Task', 'idempotent'],
])

/** What is not known is `once`. */
export const effectOf = (tool: string): EffectClass => EFFECTS.get(tool) ?? 'once'

const PATH_FIELDS: ReadonlyMap<string, string> = new Map([
  ['Read', 'file_path'],
  ['Edit', 'file_path'],
  ['Write', 'file_path'],
  ['NotebookEdit', 'notebook_path'],
  ['Glob', 'path'],
  ['Grep', 'path'],
])

/** The paths that a call of a file tool names. */
export function pathsIn(tool: string, input: Readonly<Record<string, unknown>>): string[] {
  const field = PATH_FIELDS.get(tool)
  const path = field === undefined ? undefined : input[field]
  const named = typeof path === 'string' ? [path] : []
  return tool === 'Glob' && typeof input.pattern === 'string' ? [...named, startOf(input.pattern)] : named
}

/** Where a pattern begins to look; one that climbs anywhere counts as climbing at once. */
const startOf = (pattern: string): string =>
  /(^|\/)\.\.(\/|$)/.test(pattern) ? '..' : pattern.slice(0, /[*?[{]/.exec(pattern)?.index)
