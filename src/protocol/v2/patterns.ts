/**
 * Which events a subscription means: names with `*` for one part or, at the end or alone, for all that follows, and values
 * that the payload must have.
 */
import { z } from 'zod'

const MAX_PATTERNS = 32
const MAX_PATTERN_CHARS = 64
const MAX_FILTER_KEYS = 16
const MAX_FILTER_CHARS = 256

const pattern = z.string().min(1).max(MAX_PATTERN_CHARS)
const filterValue = z.union([z.string().max(MAX_FILTER_CHARS), z.number(), z.boolean(), z.null()])

export const patternsSchema = z.array(pattern).min(1).max(MAX_PATTERNS)
export const filterSchema = z
  .record(z.string().max(MAX_PATTERN_CHARS), filterValue)
  .refine((filter) => Object.keys(filter).length <= MAX_FILTER_KEYS, `a filter names at most ${MAX_FILTER_KEYS} values`)
export type Filter = z.output<typeof filterSchema>

/** `*` and `**` alone mean every event; `stream.*` those of a domain; anything else exactly itself. */
export function matchesPattern(pattern: string, event: string): boolean {
  if (pattern === '*' || pattern === '**') return true
  const [wanted, parts] = [pattern.split('.'), event.split('.')]
  if (wanted.at(-1) === '**') return wanted.slice(0, -1).every((part, at) => fits(part, parts[at]))
  return wanted.length === parts.length && wanted.every((part, at) => fits(part, parts[at]))
}

const fits = (wanted: string, part: string | undefined): boolean =>
  part !== undefined && (wanted === '*' || wanted === part)

/** Whether the payload has every value that the filter names, at its top. */
export function matchesFilter(filter: Filter | undefined, payload: object): boolean {
  const values = payload as Readonly<Record<string, unknown>>
  return Object.entries(filter ?? {}).every(([name, value]) => Object.hasOwn(values, name) && values[name] === value)
}
