/**
 * Reads a charter from YAML or JSON. What is wrong is said with file, line and field, all of it at once.
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Document, isAlias, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { rulesOf } from './rules.js'
import { type Charter, charterSchema } from './schema.js'

/** A charter that cannot be used; each mistake is one line with file, line and field. */
export class CharterError extends Error {
  override readonly name = 'CharterError'

  constructor(readonly mistakes: readonly string[]) {
    super(`The charter is not valid:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`)
  }
}

export interface LoadedCharter {
  readonly charter: Charter
  /** Sentences for whoever wrote it: what has no effect. Nothing here keeps it from being used. */
  readonly notes: readonly string[]
}

/** Aliases of YAML can make a short text endless. */
const MAX_ALIASES = 100
const MAX_CHARTER_BYTES = 1024 * 1024
/** Fields that some form of a charter has; others are kept and said to have no effect. */
const KNOWN_FIELDS = new Set(Object.keys(charterSchema.shape))

/** @throws CharterError */
export async function loadCharterFile(file: string, env: NodeJS.ProcessEnv = process.env): Promise<LoadedCharter> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new CharterError([`${file}: it cannot be read (${code})`])
  }
  return parseCharter(text, file, env)
}

/** @throws CharterError */
export function parseCharter(text: string, file: string, env: NodeJS.ProcessEnv = {}): LoadedCharter {
  if (text.length > MAX_CHARTER_BYTES)
    throw new CharterError([`${file}: it has more than ${MAX_CHARTER_BYTES} characters`])
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines })
  const given = Array.isArray(documents) ? documents.filter((each) => each.errors.length > 0 || !isEmpty(each)) : []
  const [document, ...others] = given
  if (!document) throw new CharterError([`${file}: it is empty`])
  if (document.errors.length > 0)
    throw new CharterError(
      document.errors.map((error) => atLine(file, error.linePos?.[0].line, error.message.split('\n')[0])),
    )
  const notes = others.length > 0 ? [`${file}: only its first document is used; it has ${given.length}`] : []
  return checked(document, { file, lines, env, notes })
}

/** What a stray `---` leaves. */
const isEmpty = ({ contents }: Document): boolean =>
  contents === null || (isScalar(contents) && (contents.value === null || contents.value === ''))

interface Reading {
  readonly file: string
  readonly lines: LineCounter
  readonly env: NodeJS.ProcessEnv
  readonly notes: string[]
}

function checked(document: Document, reading: Reading): LoadedCharter {
  const { file, notes } = reading
  if (!isMap(document.contents))
    throw new CharterError([`${file}:1: a charter is a list of fields, such as name: and safetyHeuristics:`])
  const value: unknown = filled(document.toJS({ maxAliasCount: MAX_ALIASES }), [], reading)
  const result = charterSchema.safeParse(value)
  if (!result.success) throw new CharterError(result.error.issues.map((issue) => mistakeOf(issue, document, reading)))
  const strangers = Object.keys(result.data).filter((field) => !KNOWN_FIELDS.has(field))
  for (const field of strangers)
    notes.push(`${place(document, [field], reading)}: ${field} is not a field of a charter and has no effect`)
  const { unknown } = rulesOf(result.data)
  for (const { list, entry } of unknown) {
    notes.push(`${basename(file)}: "${entry}" in ${list} matches nothing; see docs/charter.md for what an entry may be`)
  }
  return { charter: result.data, notes }
}

function mistakeOf(issue: z.core.$ZodIssue, document: Document, reading: Reading): string {
  const path = issue.path.map(String)
  return `${place(document, issue.path, reading)}: ${path.join('.') || 'charter'}: ${issue.message}`
}

/** File and line of a field, or of what is nearest above it. */
function place(document: Document, path: readonly PropertyKey[], { file, lines }: Reading): string {
  for (let depth = path.length; depth > 0; depth--) {
    const node: unknown = document.getIn(path.slice(0, depth), true)
    const start = isNode(node) && !isAlias(node) ? node.range?.[0] : undefined
    if (start !== undefined) return `${file}:${lines.linePos(start).line}`
  }
  return `${file}:1`
}

const atLine = (file: string, line: number | undefined, message = 'it cannot be read'): string =>
  `${file}:${line ?? 1}: ${message}`

/** Puts values of the environment where `${NAME}` and `${NAME:-otherwise}` stand. One that is not set leaves its field out. */
function filled(value: unknown, path: readonly string[], reading: Reading): unknown {
  if (typeof value === 'string') return filledText(value, path, reading)
  if (Array.isArray(value)) {
    return value
      .map((each, index) => filled(each, [...path, String(index)], reading))
      .filter((each) => each !== undefined)
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return value ?? undefined
  const entries = Object.entries(value).map(([name, each]) => [name, filled(each, [...path, name], reading)] as const)
  return Object.fromEntries(entries.filter(([, each]) => each !== undefined))
}

function filledText(text: string, path: readonly string[], { env, notes, file }: Reading): string | undefined {
  let missing: string | undefined
  const result = text.replace(/\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g, (_whole, name: string, otherwise?: string) => {
    const found = env[name] ?? otherwise
    if (found === undefined) missing = name
    return found ?? ''
  })
  if (missing === undefined) return result
  notes.push(`${basename(file)}: ${path.join('.')} is left out, because ${missing} is not set`)
  return undefined
}
