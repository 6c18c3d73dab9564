/**
 * The file of `--config`, JSON or YAML. A setting may be written there in three ways:
 *
 *   DAEMON_PORT: 9090            its name in the environment, or an older one
 *   port: 9090                   its option, or its key in the section `server`
 *   server: { port: 9090 }       its section and key in the table
 *
 * The unit at the end of a key may be left out: `heartbeatInterval` is `heartbeatIntervalMs`.
 */
import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { hint } from './nearest.js'
import { allSettings, type PlacedSetting, SETTINGS } from './schema.js'
import type { Setting } from './setting.js'
import type { Given, Source } from './sources.js'

/** Far more than all settings together; whoever names a disk image must not wait for it. */
const MAX_CHARACTERS = 1_048_576
const UNIT = /(Ms|Seconds|Mb)$/
/** A file cannot say where it is. */
const ELSEWHERE: ReadonlySet<Setting<unknown>> = new Set([SETTINGS.server.configFile])

/** Reads the file. Everything that is wrong with it becomes one of the `mistakes`. */
export function settingsFileSource(path: string, cwd: string, mistakes: string[]): Source {
  const found = new Map<string, Given>()
  const tree = readTree(resolve(cwd, path), path, mistakes)
  for (const [label, value, setting] of leaves(tree, path, mistakes)) {
    const given = { text: written(value), label: `${label} in ${path}` }
    if (found.has(setting.env)) mistakes.push(`${given.label} says again what ${found.get(setting.env)?.label} says`)
    else if (given.text !== '') found.set(setting.env, given)
  }
  return { origin: 'file', find: ({ env }) => found.get(env) }
}

type Tree = Readonly<Record<string, unknown>>

function readTree(file: string, path: string, mistakes: string[]): Tree {
  const read = FORMATS[extname(file).toLowerCase()]
  if (!read) {
    mistakes.push(`the settings file ${path} must end in ${Object.keys(FORMATS).join(', ')}`)
    return {}
  }
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > MAX_CHARACTERS) throw new Error(`it is longer than ${MAX_CHARACTERS} characters`)
    const tree = read(text) ?? {}
    if (isTree(tree)) return tree
    throw new Error('it must hold names and values')
  } catch (error) {
    mistakes.push(`the settings file ${path} could not be read: ${reasonOf(error)}`)
  }
  return {}
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'it is not there'
  return code === undefined ? message : (message.split(',')[0] ?? message)
}

const FORMATS: Readonly<Record<string, (text: string) => unknown>> = {
  '.json': readJson,
  '.yaml': readYaml,
  '.yml': readYaml,
}

/** The reason names no part of the text, which may hold secrets. */
function readJson(text: string): unknown {
  const json = text.replace(/^\uFEFF/, '')
  try {
    return JSON.parse(json)
  } catch {
    const before = json.slice(0, goodLength(json)).split('\n')
    const column = (before.at(-1)?.length ?? 0) + 1
    throw new Error(`line ${before.length}, column ${column}: this is not JSON`)
  }
}

/** How much of the text could be the beginning of JSON. The parser often does not say, but it knows for each beginning. */
function goodLength(text: string): number {
  let [good, bad] = [0, text.length + 1]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (mayGoOn(text.slice(0, middle))) good = middle
    else bad = middle
  }
  return good
}

function mayGoOn(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    const { message } = error as Error
    const at = /position (\d+)/.exec(message)?.[1]
    return /end of JSON|Unterminated/.test(message) || Number(at) === text.length
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

type Leaf = readonly [label: string, value: unknown, setting: Setting<unknown>]

/** The settings in the tree; what is no setting becomes one of the `mistakes`. */
function leaves(tree: Tree, path: string, mistakes: string[]): readonly Leaf[] {
  const found: Leaf[] = []
  const take = (key: string, value: unknown, known: ReadonlyMap<string, Setting<unknown>>, within = '') => {
    const setting = known.get(key)
    if (setting) found.push([`${within}${key}`, value, setting])
    else mistakes.push(`${within}${key} in ${path} is not a setting${hint(key, known.keys())}`)
  }
  const top = topNames()
  for (const [key, value] of Object.entries(tree)) {
    const section = SECTIONS.get(key)
    if (section === undefined) take(key, value, top)
    else if (!isTree(value)) mistakes.push(`${key} in ${path} is a section: it must hold names and values`)
    else for (const [inner, each] of Object.entries(value)) take(inner, each, keysOf(section), `${key}.`)
  }
  return found
}

/** `daemon` is what older files call the section `server`. */
const SECTIONS: ReadonlyMap<string, string> = new Map([
  ...Object.keys(SETTINGS).map((section) => [section, section] as const),
  ['daemon', 'server'],
])

const inFile = (): readonly PlacedSetting[] => allSettings().filter(({ setting }) => !ELSEWHERE.has(setting))

function topNames(): ReadonlyMap<string, Setting<unknown>> {
  const names = inFile().flatMap(({ setting }) =>
    [setting.env, ...setting.aliases, setting.flag].map((name) => [name ?? setting.env, setting] as const),
  )
  return new Map([...keysOf('server'), ...names])
}

function keysOf(section: string): ReadonlyMap<string, Setting<unknown>> {
  const placed = inFile().filter((each) => each.section === section)
  return new Map(placed.flatMap(({ key, setting }) => [key, key.replace(UNIT, '')].map((name) => [name, setting])))
}

/** As one would write it in the environment. */
function written(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value).trim()
}

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
