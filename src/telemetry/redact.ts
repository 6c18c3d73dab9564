/**
 * Takes secrets out of what is about to be logged: by the name of the field that holds them, and by their shape anywhere.
 */

export const REDACTED = '[redacted]'

const SECRET_NAMES =
  /^(authorization|proxy-authorization|cookie|set-cookie|x-api-key|passwd|passphrase|credentials?|bearer|token)$|(api[-_]?key|private[-_]?key|secret|secret[-_]?key|password|[a-z][-_]?token|jwt)$/i

/** Field names that hold a secret where they stand in a sentence, in JSON or in a query: `password=x`, `"token":"x"`. */
const ASSIGNED =
  /((?:[\w-]*(?:api[-_]?key|private[-_]?key|secret|password|passwd|passphrase)|(?:[\w-]+[-_])?token|jwt)\\?["']?\s*[=:]\s*\\?["']?)(?!\[redacted\])[^\s"'&,;\\}\])]+/gi

/** Credentials that are known by how they begin, JSON Web Tokens, and passwords in URLs. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/\b((?:proxy-)?authorization\\?["']?\s*[=:]\s*\\?["']?)(?!(?:Bearer|Basic) \[)[^\r\n"'\\]+/gi, `$1${REDACTED}`],
  [/\b((?:set-)?cookie\\?["']?\s*[=:]\s*\\?["']?)[^\r\n"'\\]+/gi, `$1${REDACTED}`],
  [/\bsk-[\w-]{8,}/g, REDACTED],
  [/\bvp_\w{8,}/g, REDACTED],
  [/\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g, REDACTED],
  // Up to the last @ before the path: an @ in a password is a mistake that people make.
  [/(:\/\/[^\s:/@"']*:)[^\s/"']+@/g, `$1${REDACTED}@`],
  [ASSIGNED, `$1${REDACTED}`],
]

/** Deeper objects are no log fields any more; the bound also ends cycles. */
const MAX_DEPTH = 6
/** A list in a log line is for people; the rest of a long one is only counted. */
const MAX_ITEMS = 100

export function redactText(text: string): string {
  return SECRET_SHAPES.reduce((result, [shape, replacement]) => result.replace(shape, replacement), text)
}

/** Takes these words out of a text, as they are and as JSON writes them. */
export function hiding(secrets: readonly string[]): (text: string) => string {
  const spellings = secrets.flatMap((secret) => [...new Set([secret, JSON.stringify(secret).slice(1, -1)])])
  return (text) => spellings.reduce((shown, secret) => shown.replaceAll(secret, REDACTED), text)
}

/** Words that nobody may read. There may come more of them; what was one stays one. */
export class HiddenWords {
  readonly #words = new Set<string>()
  #hide: (text: string) => string = (text) => text

  constructor(words: readonly string[] = []) {
    this.add(words)
  }

  add(words: readonly string[]): void {
    for (const word of words) this.#words.add(word)
    // The longest first: a part of one may be another.
    this.#hide = hiding([...this.#words].sort((one, other) => other.length - one.length))
  }

  hide(text: string): string {
    return this.#hide(text)
  }
}

/** A copy of `value` as JSON will show it, without secrets; errors become their type, message, stack, code and cause. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) return '[deeper]'
  if (value instanceof Error) return redactError(value, depth)
  if (value instanceof Date) return value
  if (value instanceof URL) return redactText(value.href)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return redactList(value, depth)
  if (value instanceof Map) return redactFields(Object.fromEntries(value), depth)
  if (value instanceof Set || value instanceof URLSearchParams) return redactList([...value], depth)
  if (value instanceof Headers) return redactFields(Object.fromEntries(value), depth)
  return redactFields(value, depth)
}

function redactFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      redactText(name),
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
    ...(error instanceof AggregateError ? { errors: redactList(error.errors, depth + 1) } : {}),
  }
}
