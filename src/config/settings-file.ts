/**
 * The file of `--config`, JSON5 or YAML. A setting may be written there in several ways:
 *
 *   DAEMON_PORT: 9090                its name in the environment, or an older one
 *   port: 9090                       its option, or its key in the section `server`
 *   server: { port: 9090 }           its section and key in the table; the unit at the end of a key may be left out
 *   security: { jwt: { secret: … } } as files of the reference have it
 *
 * `$include: other.yaml` (or a list) is read first, and what this file says counts more. `${NAME}` in a value stands for
 * a variable of the environment.
 */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isTree, readTree, type Tree } from './file-formats.js'
import { hint } from './nearest.js'
import { goesOn, sectionCalled, settingsByPath, withoutEffect } from './reference-paths.js'
import { allSettings, SETTINGS } from './schema.js'
import type { Setting } from './setting.js'
import type { Given, Names, Source } from './sources.js'

/** Files within files; a longer chain is a circle. */
const MAX_INCLUDES = 8
const INCLUDE = '$include'
/** A file cannot say where it is. */
const ELSEWHERE: ReadonlySet<Setting<unknown>> = new Set([SETTINGS.server.configFile])
/** Found without being named, in the working directory before the home directory. */
const USUAL_PLACES = ['.wundr/config.json5', '.wundr/config.json']

export interface FileSurroundings {
  readonly cwd: string
  /** For `${NAME}`, and HOME. */
  readonly env: Names
  readonly mistakes: string[]
  readonly warnings: string[]
}

/** Where a settings file may stand that nobody has named, first come first. */
export const usualSettingsFiles = ({ cwd, env }: Pick<FileSurroundings, 'cwd' | 'env'>): readonly string[] =>
  [cwd, ...(env.HOME ? [env.HOME] : [])].flatMap((folder) => USUAL_PLACES.map((place) => join(folder, place)))

/** The one that is there. */
export const usualSettingsFile = (around: Pick<FileSurroundings, 'cwd' | 'env'>): string | undefined =>
  usualSettingsFiles(around).find((file) => existsSync(file))

/** Reads the file. Everything that is wrong with it becomes one of the `mistakes`. */
export function settingsFileSource(path: string, around: FileSurroundings): Source {
  const found = new Map<string, Given>()
  read(path, resolve(around.cwd, path), around, found, MAX_INCLUDES)
  return { origin: 'file', find: ({ env }) => found.get(env) }
}

function read(path: string, file: string, around: FileSurroundings, found: Map<string, Given>, left: number): void {
  let tree: Tree
  try {
    if (left === 0) throw new Error(`${path} is included by ${MAX_INCLUDES} files in turn; do they include each other?`)
    tree = readTree(file, path)
  } catch (error) {
    around.mistakes.push((error as Error).message)
    return
  }
  for (const included of includesOf(tree)) {
    read(included, resolve(dirname(file), included), around, found, left - 1)
  }
  for (const [env, given] of givenIn(tree, path, around)) found.set(env, given)
}

const includesOf = ({ [INCLUDE]: included }: Tree): string[] =>
  [included ?? []].flat().filter((path): path is string => typeof path === 'string')

/** What one file says, once for each setting. */
function givenIn(tree: Tree, path: string, around: FileSurroundings): ReadonlyMap<string, Given> {
  const found = new Map<string, Given>()
  const { mistakes } = around
  for (const [name, value, setting] of leaves(tree, path, around)) {
    const label = `${name} in ${path}`
    const given = { text: filled(written(value), label, around), label }
    if (found.has(setting.env)) mistakes.push(`${label} says again what ${found.get(setting.env)?.label} says`)
    else if (given.text !== '') found.set(setting.env, given)
  }
  return found
}

type Leaf = readonly [name: string, value: unknown, setting: Setting<unknown>]

/** The settings in the tree; what is no setting becomes one of the `mistakes`, or of the `warnings`. */
function leaves(tree: Tree, path: string, around: FileSurroundings): readonly Leaf[] {
  return Object.entries(tree)
    .filter(([key]) => key !== INCLUDE)
    .flatMap(([key, value]) => {
      const setting = TOP_NAMES.get(key)
      if (setting) return [[key, value, setting] as const]
      const known = withoutEffect(key) !== undefined || goesOn(key)
      return known ? below(key, value, path, around) : unknown(key, path, TOP_NAMES.keys(), around)
    })
}

/** What stands under a path of the tree. */
function below(at: string, value: unknown, path: string, around: FileSurroundings): readonly Leaf[] {
  const setting = settingsByPath.get(at)
  if (setting && !ELSEWHERE.has(setting)) return [[at, value, setting]]
  const reason = withoutEffect(at)
  if (reason !== undefined) {
    around.warnings.push(`${at} in ${path} ${reason}`)
    return []
  }
  if (!goesOn(at)) return unknown(at, path, siblingsOf(at), around)
  if (isTree(value)) {
    return Object.entries(value).flatMap(([key, inner]) => below(`${at}.${key}`, inner, path, around))
  }
  around.mistakes.push(`${at} in ${path} is a section: it must hold names and values`)
  return []
}

function unknown(at: string, path: string, names: Iterable<string>, { mistakes }: FileSurroundings): [] {
  mistakes.push(`${at} in ${path} is not a setting${hint(at.slice(at.lastIndexOf('.') + 1), names)}`)
  return []
}

function siblingsOf(at: string): string[] {
  const start = at.slice(0, at.lastIndexOf('.') + 1)
  return [...settingsByPath.keys()].filter((name) => name.startsWith(start)).map((name) => name.slice(start.length))
}

const TOP_NAMES: ReadonlyMap<string, Setting<unknown>> = topNames()

function topNames(): ReadonlyMap<string, Setting<unknown>> {
  const ours = allSettings().filter(({ setting }) => !ELSEWHERE.has(setting))
  const names = ours.flatMap(({ setting }) =>
    [setting.env, ...setting.aliases, setting.flag].map((name) => [name ?? setting.env, setting] as const),
  )
  const plain = [...settingsByPath].flatMap(([name, setting]) => {
    const [first = '', second] = name.split('.')
    if (second === undefined) return [[first, setting] as const]
    return sectionCalled(first) === 'server' && !ELSEWHERE.has(setting) ? [[second, setting] as const] : []
  })
  return new Map([...plain, ...names])
}

/** As one would write it in the environment. */
export function written(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value).trim()
}

/** With the variables that it names; `$${` stands for `${`. */
function filled(text: string, label: string, { env, mistakes }: FileSurroundings): string {
  return text.replaceAll(/\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (whole, name: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    const value = env[name]
    if (value !== undefined) return value
    mistakes.push(`${label} names \${${name}}, and there is no such variable`)
    return ''
  })
}
