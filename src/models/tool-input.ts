/**
 * The arguments of a tool call as a model wrote them: usually a JSON object, sometimes not.
 */
import { MALFORMED_INPUT, type ToolRequest } from './model.js'

/** Enough for the model to recognise what it sent. */
const MAX_SHOWN_CHARS = 500

/** Reads streamed arguments. No text means no arguments; anything but a JSON object is kept under `MALFORMED_INPUT`. */
export function toolInput(json: string): ToolRequest['input'] {
  if (json.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as ToolRequest['input']
  } catch {
    // Not JSON at all: treated like JSON of another shape, below.
  }
  return { [MALFORMED_INPUT]: json.slice(0, MAX_SHOWN_CHARS) }
}
