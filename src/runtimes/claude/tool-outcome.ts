/**
 * What a tool of Claude Code returned, as the log keeps it.
 */
import type { ToolOutcome } from '../runtime.js'
import type { ToolEnd } from './claude-process.js'

/** As much as a command of an llm session may print. Claude Code itself keeps the whole for its model. */
const MAX_RESULT_CHARS = 64 * 1024

export function outcomeOf(end: ToolEnd): ToolOutcome {
  if (end.status === 'failed') return { status: 'failed', error: end.error.slice(0, MAX_RESULT_CHARS) }
  return { status: 'completed', result: resultOf(end.response) }
}

function resultOf(response: unknown): Readonly<Record<string, unknown>> {
  const json = JSON.stringify(response) ?? 'null'
  if (json.length > MAX_RESULT_CHARS) return { text: json.slice(0, MAX_RESULT_CHARS), truncated: true }
  const isObject = typeof response === 'object' && response !== null && !Array.isArray(response)
  return isObject ? (response as Record<string, unknown>) : { value: response }
}

/** The text of a tool result as the model gets it. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((block: { readonly text?: unknown }) => (typeof block.text === 'string' ? block.text : ''))
    .join('\n')
}
