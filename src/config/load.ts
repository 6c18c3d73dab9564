/**
 * Reads the settings: flags before environment before `.env` before the file of `--config` before defaults. Says
 * everything that is wrong at once.
 */
import { derive } from './derived.js'
import { hint } from './nearest.js'
import { WUNDR_SECTIONS, wundrNames } from './reference-paths.js'
import { REPLACED_NAMES } from './replaced-names.js'
import { brokenRules } from './rules.js'
import { allSettings, SETTINGS, type Values } from './schema.js'
import type { Setting } from './setting.js'
import { type FileSurroundings, settingsFileSource, usualSettingsFile } from './settings-file.js'
import {
  type Flags,
  flagSource,
  type Given,
  type Names,
  nameSource,
  type Origin,
  readEnvFile,
  type Source,
} from './sources.js'

export type { FlagValue } from './sources.js'

export interface Config extends Values {
  /** Hash tags in use: 16 on Redis Cluster, else 1. */
  readonly lanes: 1 | 16
  /** Sentences for the log: nothing that keeps the daemon from starting. */
  readonly warnings: readonly string[]
  /** Where the value of each setting came from, by its name in the environment; what is missing here is a default. */
  readonly origins: ReadonlyMap<string, Origin>
}

export interface ConfigSources {
  /** Options of the command line, in camel case; those that belong to no setting are passed over. */
  readonly flags: Flags
  readonly env: Names
  /** Where `.env` is looked for, and where the path of a settings file begins. */
  readonly cwd: string
  /** False for a command, which lets nobody in and so needs nothing to know them by; default true. */
  readonly isNode?: boolean
}

/** One or more settings are wrong; the message lists all of them, one sentence per line, without any secret. */
export class ConfigError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigError'
  }
}

const CLUSTER_LANES = 16

/** @throws ConfigError */
export function loadConfig({ flags, env, cwd, isNode = true }: ConfigSources): Config {
  const mistakes: string[] = []
  const warnings: string[] = []
  const envFile = readEnvFile(cwd, mistakes)
  const sources = [flagSource(flags), nameSource('environment', env), nameSource('.env', envFile)]
  const names = { ...envFile, ...env }
  sources.push(...fileSources(sources, { cwd, env: names, mistakes, warnings }))
  const reading: Reading = { sources, mistakes, origins: new Map(), warnings }
  const values = derive(readValues(reading))
  // Rules between settings read only values that are right, so they wait until all are.
  if (mistakes.length === 0) mistakes.push(...brokenRules(values, isNode))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return {
    ...values,
    lanes: values.redis.clusterNodes ? CLUSTER_LANES : 1,
    warnings: [...unknownNames(names), ...replacedNames(names), ...warnings],
    origins: reading.origins,
  }
}

/** The settings file that is named, or stands where one is looked for. */
function fileSources(sources: readonly Source[], around: FileSurroundings): Source[] {
  const named = firstIn(sources, SETTINGS.server.configFile)
  if (named) return [settingsFileSource(named.text, around)]
  const usual = usualSettingsFile(around)
  if (usual === undefined) return []
  const itself = { text: usual, label: usual }
  const place: Source = {
    origin: 'file',
    find: (setting) => (setting === SETTINGS.server.configFile ? itself : undefined),
  }
  return [settingsFileSource(usual, around), place]
}

interface Reading {
  /** Highest precedence first. */
  readonly sources: readonly Source[]
  readonly mistakes: string[]
  readonly warnings: string[]
  readonly origins: Map<string, Origin>
}

function firstIn(sources: readonly Source[], setting: Setting<unknown>): (Given & { origin: Origin }) | undefined {
  for (const source of sources) {
    const given = source.find(setting)
    if (given) return { ...given, origin: source.origin }
  }
  return undefined
}

function readValues(reading: Reading): Values {
  const values: Record<string, Record<string, unknown>> = {}
  for (const { section, key, setting } of allSettings()) {
    values[section] ??= {}
    values[section][key] = readValue(setting, reading)
  }
  // A value that is wrong is undefined here; nobody reads it, because there is a mistake then.
  return values as unknown as Values
}

function readValue(setting: Setting<unknown>, { sources, mistakes, warnings, origins }: Reading): unknown {
  const given = firstIn(sources, setting)
  if (!given) return setting.fallback === undefined ? undefined : setting.kind.type.parse(setting.fallback)
  origins.set(setting.env, given.origin)
  if (setting.replaced) warnings.push(`${given.label} has no effect: ${setting.replaced}`)
  const result = setting.kind.type.safeParse(given.text)
  if (result.success) return result.data
  const found = setting.secret ? '' : `, not "${withoutCredentials(given.text)}"`
  mistakes.push(`${given.label} must be ${setting.kind.expected}${found}`)
  return undefined
}

/** A URL that is wrong may still hold a password. */
const withoutCredentials = (text: string): string => text.replace(/\/\/[^/]*@/, '//hidden@')

/** What commands that talk to a daemon read; the daemon itself has no use for them, and nothing against them. */
const NAMES_OF_CLIENTS = ['DAEMON_TOKEN', 'DAEMON_API_KEY']

const replacedNames = (names: Names): string[] =>
  [...REPLACED_NAMES].flatMap(([name, instead]) => (names[name] ? [`${name} has no effect: ${instead}`] : []))

function unknownNames(names: Names): string[] {
  const settings = allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases])
  const known = new Set([...settings, ...[...wundrNames.values()].flat(), ...NAMES_OF_CLIENTS])
  const ours = (name: string) => ['DAEMON_', ...WUNDR_SECTIONS].some((start) => name.startsWith(start))
  return Object.keys(names)
    .filter((name) => ours(name) && !known.has(name))
    .sort()
    .map((name) => `${name} is not a setting of this version and has no effect${hint(name, known)}`)
}
