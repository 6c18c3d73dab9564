/**
 * The words among the settings that nobody may read anywhere: what no pattern would know.
 */
import type { Config } from './load.js'
import { allSettings } from './schema.js'

/** Shorter ones protect nothing, and would be found in half of all sentences. */
const MIN_CHARACTERS = 6

/** Each once, the longest first. */
export function secretsOf(config: Config): readonly string[] {
  const found = allSettings().flatMap(({ section, key, setting }) => {
    const value = (config[section as keyof Config] as Readonly<Record<string, unknown>>)[key]
    return [...(setting.secret ? [...wordsIn(value), ...pathIn(value)] : []), ...passwordsIn(value)]
  })
  const words = new Set(found.filter((word) => word.length >= MIN_CHARACTERS))
  return [...words].toSorted((a, b) => b.length - a.length)
}

/** Of a list of keys only the keys: who comes with them may be read. */
function wordsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(wordsIn)
  if (typeof value === 'object' && value !== null) return 'key' in value ? wordsIn(value.key) : []
  return typeof value !== 'string' || URL.canParse(value) ? [] : [value, ...assignedIn(value)]
}

/** Of `name=value,name=value`, as headers are written. */
const assignedIn = (text: string): string[] =>
  text.split(',').flatMap((part) => (part.includes('=') ? [part.slice(part.indexOf('=') + 1)] : []))

function passwordsIn(value: unknown): string[] {
  if (typeof value !== 'string' || !value.includes('://') || !URL.canParse(value)) return []
  const { password, searchParams } = new URL(value)
  return [password, decoded(password), ...searchParams.values()]
}

/** Of a webhook it is what nobody else may know; of a store it is a name. */
function pathIn(value: unknown): string[] {
  if (typeof value !== 'string' || !/^https?:/.test(value) || !URL.canParse(value)) return []
  return [new URL(value).pathname.slice(1)]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone % is a password's own.
    return text
  }
}
