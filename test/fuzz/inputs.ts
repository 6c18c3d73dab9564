/**
 * What is thrown at the doors: messages drawn from the schemas that the service publishes, changed in their structure and
 * in their bytes, and bytes that are nothing at all.
 */
import { z } from 'zod'
import { clientMessageSchema } from '../../src/protocol/commands.js'
import type { SeededRandom } from '../support/random.js'
import { type JsonSchema, SchemaValues } from '../support/schema-values.js'

/** Deep enough to overflow whatever walks values by calling itself. */
const DEEP = [33, 200, 8_000, 40_000]
const LONG = [129, 4_097, 70_000]
const MAX_GARBAGE_BYTES = 400

const ODD_WORDS = [
  ...['null', 'true', '-0', '1e400', '-1e400', '9007199254740993', '0.1e-400', '""', '[]', '{}', '[[]]', '"\\u0000"'],
  ...['"\\ud800"', '"__proto__"', '"constructor"', '{"__proto__":{"type":"ping"}}', '{"toJSON":1}', '"\\uffff"'],
  ...['{"length":1e9}', '"%00%ff"', '"$(id)"', '"\\u202e"', '{"then":1}', '"2026-02-30T25:61:61Z"'],
]

type Mutation = (text: string, random: SeededRandom, inputs: Inputs) => string

/** Each changes a valid message in a way of its own. */
const MUTATIONS: readonly Mutation[] = [
  (text, random) => cut(text, random).join(''),
  (text, random) => cut(text, random)[0] ?? '',
  (text, random) => spliced(text, random, random.pick(ODD_WORDS)),
  (text, random) => replaced(text, random, random.pick(ODD_WORDS)),
  (text, random) => replaced(text, random, nested(random, random.pick(DEEP))),
  (text, random) => replaced(text, random, JSON.stringify('x'.repeat(random.pick(LONG)))),
  (text, random) => `${text}${text.slice(random.integer(0, text.length))}`,
  (text, random, inputs) => spliced(text, random, inputs.message()),
  (text, random) =>
    text.replace('{', `{"${random.pick(['type', 'payload', '__proto__', 'requestId', 'auth', 'id'])}":`),
  (text, random) => text.replace(/"type":"\w+"/, `"type":${random.pick(ODD_WORDS)}`),
  (text, random) => text.replace('}', `,"${'k'.repeat(random.pick(LONG))}":1}`),
  (text, random) => text.replaceAll('"', random.pick(["'", '', '\\"', '“'])),
  (text, random) => flipped(Buffer.from(text), random).toString('utf8'),
]

export class Inputs {
  readonly #random: SeededRandom
  readonly #values: SchemaValues
  readonly #schema: JsonSchema

  constructor(random: SeededRandom) {
    const schema = z.toJSONSchema(clientMessageSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
    this.#random = random
    this.#schema = schema
    this.#values = new SchemaValues(random, (schema.$defs ?? {}) as Readonly<Record<string, JsonSchema>>)
  }

  /** A message that is valid, or nearly. */
  message(): string {
    return JSON.stringify(this.#values.draw(this.#schema)) ?? 'null'
  }

  /** A frame of any kind; one in so many is no text. */
  frame(): string | Buffer {
    const kind = this.#random.integer(0, 19)
    if (kind === 0) return this.garbage()
    if (kind === 1) return flipped(Buffer.from(this.message()), this.#random)
    if (kind < 6) return this.message()
    return this.changed(this.message())
  }

  /** The text with one or two changes. */
  changed(text: string): string {
    const once = this.#random.pick(MUTATIONS)(text, this.#random, this)
    return this.#random.integer(0, 3) > 0 ? once : this.#random.pick(MUTATIONS)(once, this.#random, this)
  }

  garbage(): Buffer {
    const bytes = this.#random.integer(0, MAX_GARBAGE_BYTES)
    return Buffer.from(Array.from({ length: bytes }, () => this.#random.integer(0, 255)))
  }
}

function cut(text: string, random: SeededRandom): [string, string] {
  const [from, to] = [random.integer(0, text.length), random.integer(0, text.length)].toSorted((a, b) => a - b)
  return [text.slice(0, from), text.slice(to)]
}

const spliced = (text: string, random: SeededRandom, what: string): string => cut(text, random).join(what)

/** Puts a value in the place of another one. */
function replaced(text: string, random: SeededRandom, value: string): string {
  const values = [...text.matchAll(/(?<=[:[,])("(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|true|false|null)(?=[,}\]])/g)]
  if (values.length === 0) return `${text}${value}`
  const { index, 0: old } = random.pick(values)
  return `${text.slice(0, index)}${value}${text.slice(index + old.length)}`
}

/** Arrays in arrays, or objects in objects. */
export function nested(random: SeededRandom, depth: number): string {
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ])
  return `${open?.repeat(depth)}1${close?.repeat(depth)}`
}

export function flipped(bytes: Buffer, random: SeededRandom): Buffer {
  if (bytes.length === 0) return bytes
  for (let n = random.integer(1, 4); n > 0; n--) {
    const at = random.integer(0, bytes.length - 1)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
  }
  return bytes
}
