/**
 * Values for a JSON schema, drawn by chance: some that fit it, and some that are wrong in one place or altogether.
 */
import type { SeededRandom } from './random.js'

export type JsonSchema = Readonly<Record<string, unknown>>

const TEXTS = [
  '',
  'a',
  'some words',
  'ünïcödé 😀',
  '\u0000',
  '"quoted"\\',
  "'; drop table sessions; --",
  '../../etc/passwd',
]
const ODD: readonly unknown[] = [null, true, -1, 0, 1.5, 1e308, '', [], {}, { $ne: 1 }, [[[[]]]], '\uD800', 2 ** 53]
const MAX_ITEMS = 3
const MAX_DEPTH = 6
/** One value in so many is one that does not fit. */
const WRONG_IN = 12

export class SchemaValues {
  readonly #random: SeededRandom
  readonly #definitions: Readonly<Record<string, JsonSchema>>

  constructor(random: SeededRandom, definitions: Readonly<Record<string, JsonSchema>>) {
    this.#random = random
    this.#definitions = definitions
  }

  draw(schema: JsonSchema, depth = 0): unknown {
    if (depth > MAX_DEPTH || this.#random.integer(1, WRONG_IN) === 1) return this.#random.pick(ODD)
    if (typeof schema.$ref === 'string')
      return this.draw(this.#definitions[schema.$ref.split('/').at(-1) ?? ''] ?? {}, depth + 1)
    const options = (schema.anyOf ?? schema.oneOf) as readonly JsonSchema[] | undefined
    if (options) return this.draw(this.#random.pick(options), depth + 1)
    if (schema.const !== undefined) return schema.const
    if (Array.isArray(schema.enum)) return this.#random.pick(schema.enum)
    switch (schema.type) {
      case 'object':
        return this.#object(schema, depth)
      case 'array':
        return Array.from({ length: this.#random.integer(0, MAX_ITEMS) }, () =>
          this.draw((schema.items ?? {}) as JsonSchema, depth + 1),
        )
      case 'string':
        return this.#text(schema)
      case 'integer':
      case 'number':
        return this.#number(schema)
      case 'boolean':
        return this.#random.pick([true, false])
      default:
        return this.#random.pick(ODD)
    }
  }

  #object(schema: JsonSchema, depth: number): unknown {
    const required = (schema.required ?? []) as readonly string[]
    const entries = Object.entries((schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>)
    const chosen = entries.filter(([name]) => required.includes(name) || this.#random.integer(0, 2) === 0)
    return Object.fromEntries(chosen.map(([name, inner]) => [name, this.draw(inner, depth + 1)]))
  }

  #text({ format, minLength, maxLength }: JsonSchema): string {
    if (format === 'date-time') return new Date(1.7e12 + this.#random.integer(0, 1e11)).toISOString()
    const edge = this.#random.integer(0, 9)
    if (edge === 0 && typeof maxLength === 'number')
      return 'x'.repeat(Math.min(maxLength, 5_000) + this.#random.integer(0, 1))
    if (edge === 1 && typeof minLength === 'number') return 'x'.repeat(Math.max(0, minLength - 1))
    return this.#random.pick(TEXTS)
  }

  #number({ minimum = 0, maximum = 1_000, type }: JsonSchema): number {
    const [low, high] = [Number(minimum), Math.min(Number(maximum), 1e15)]
    const edge = this.#random.integer(0, 7)
    if (edge === 0) return low - 1
    if (edge === 1) return high + 1
    const value = this.#random.integer(low, Math.min(high, low + 1_000))
    return type === 'number' ? value + 0.5 : value
  }
}
