/**
 * Takes secrets out of what is about to be logged: by the name of the field that holds them, and by their shape anywhere.
 */

export const REDACTED = '[redacted]'

const SECRET_NAMES =
  /^(authorization|cookie|set-cookie|x-api-key|password|passwd|secret|token|credentials?)$|(api[-_]?key|secret|password|access[-_]?token|refresh[-_]?token|jwt)$/i

/** Credentials that are known by how they begin, JSON Web Tokens, and passwords in URLs. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\bBearer\s+[\w.~+/=-]+/gi, `Bearer ${REDACTED}`],
  [/\bsk-[\w-]{8,}/g, REDACTED],
  [/\bvp_\w{8,}/g, REDACTED],
  [/\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g, REDACTED],
  [/(:\/\/[^\s:/@]*:)[^\s/@]+@/g, `$1${REDACTED}@`],
]

/** Deeper objects are no log fields any more; the bound also ends cycles. */
const MAX_DEPTH = 6
/** A list in a log line is for people; the rest of a long one is only counted. */
const MAX_ITEMS = 100

export function redactText(text: string): string {
  return SECRET_SHAPES.reduce((result, [shape, replacement]) => result.replace(shape, replacement), text)
}

/** A copy of `value` as JSON will show it, without secrets; errors become their type, message, stack, code and cause. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) return '[deeper]'
  if (value instanceof Error) return redactError(value, depth)
  if (value instanceof Date) return value
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return redactList(value, depth)
  if (value instanceof Map) return redactFields(Object.fromEntries(value), depth)
  if (value instanceof Set) return redactList([...value], depth)
  return redactFields(value, depth)
}

function redactFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      SECRET_NAMES.test(name) && typeof value !== 'number' && value ? REDACTED : redact(value, depth + 1),
    ]),
  )
}

function redactList(list: readonly unknown[], depth: number): unknown[] {
  const shown = list.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1))
  return list.length > MAX_ITEMS ? [...shown, `[${list.length - MAX_ITEMS} more]`] : shown
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException
  return {
    type: error.name,
    message: redactText(error.message),
    ...(code === undefined ? {} : { code }),
    stack: redactText(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  }
}
