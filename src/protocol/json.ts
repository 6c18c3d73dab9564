/**
 * JSON as clients send it. What is nested very deeply is refused before anybody looks at it: comparing, printing or copying
 * such a value runs out of stack, also within libraries (zod compares the `length` of whatever stands where a text should).
 */
import { ServiceError } from './errors.js'

/** Of a whole message, whose free-form values may nest less (`freeFormSchema`). Deeper than anything that is meant, and far from what ends a stack. */
export const MAX_JSON_DEPTH = 128

const [QUOTE, ESCAPE] = [0x22, 0x5c]
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** @throws ServiceError `invalid_message` for what is no JSON, `invalid_payload` for what is nested too deeply. */
export function parseJson(text: string): unknown {
  if (isTooDeep(text))
    throw new ServiceError('invalid_payload', { reason: `nested deeper than ${MAX_JSON_DEPTH} levels` })
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ServiceError('invalid_message', {}, { cause })
  }
}

function isTooDeep(text: string): boolean {
  // Few messages open so many at all, and the engine counts them far faster than a look at each character.
  if (!opensMany(text)) return false
  let depth = 0
  let inText = false
  for (let at = 0; at < text.length && depth <= MAX_JSON_DEPTH; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) inText = !inText
    else if (inText) at += char === ESCAPE ? 1 : 0
    else if (char === OPEN_ARRAY || char === OPEN_OBJECT) depth++
    else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) depth--
  }
  return depth > MAX_JSON_DEPTH
}

/** Whether more than `MAX_JSON_DEPTH` brackets open, wherever they stand. */
function opensMany(text: string): boolean {
  let left = MAX_JSON_DEPTH
  for (const bracket of ['[', '{'])
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) if (left-- === 0) return true
  return false
}
