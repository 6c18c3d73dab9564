/**
 * Reads the text of a settings file as a tree of names and values. What is said when it is wrong names the place, and no
 * part of the text, which may hold secrets.
 */
import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import JSON5 from 'json5'
import { LineCounter, parseDocument } from 'yaml'

export type Tree = Readonly<Record<string, unknown>>

/** Far more than all settings together; whoever names a disk image must not wait for it. */
const MAX_CHARACTERS = 1_048_576

/** JSON may hold comments and trailing commas too, whatever its file is called. */
const FORMATS: Readonly<Record<string, (text: string) => unknown>> = {
  '.json': readJson,
  '.json5': readJson,
  '.yaml': readYaml,
  '.yml': readYaml,
}

/** @throws Error with one sentence; `path` is what the user calls the file. */
export function readTree(file: string, path: string): Tree {
  const read = FORMATS[extname(file).toLowerCase()]
  if (!read) throw new Error(`the settings file ${path} must end in ${Object.keys(FORMATS).join(', ')}`)
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > MAX_CHARACTERS) throw new Error(`it is longer than ${MAX_CHARACTERS} characters`)
    const tree = read(text.replace(/^\uFEFF/, '')) ?? {}
    if (isTree(tree)) return tree
    throw new Error('it must hold names and values')
  } catch (error) {
    throw new Error(`the settings file ${path} could not be read: ${reasonOf(error)}`)
  }
}

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'it is not there'
  return code === undefined ? message : (message.split(',')[0] ?? message)
}

function readJson(text: string): unknown {
  // A file that says nothing changes nothing.
  if (text.trim() === '') return undefined
  try {
    return JSON5.parse(text)
  } catch (error) {
    const { lineNumber, columnNumber } = error as { readonly lineNumber?: number; readonly columnNumber?: number }
    throw new Error(`line ${lineNumber}, column ${columnNumber}: this is not JSON`)
  }
}

function readYaml(text: string): unknown {
  const lines = new LineCounter()
  // Every value as it is written, as in the environment: `1.10` stays `1.10`.
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (!error) return document.toJS()
  const { line, col } = lines.linePos(error.pos[0])
  throw new Error(`line ${line}, column ${col}: ${WORDS[error.code] ?? 'this is not YAML'}`)
}

const WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this name is there twice',
  TAB_AS_INDENT: 'YAML is indented with spaces, not tabs',
}
