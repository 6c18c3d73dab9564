/**
 * Settings that somebody sets while a process runs: judged like those that are read, by the same schemas, and laid over them.
 */
import type { Config } from './load.js'
import { hint } from './nearest.js'
import { allSettings, type PlacedSetting } from './schema.js'
import { written } from './settings-file.js'

/** What was set, by name in the environment. What is missing here is as it was read. */
export type AskedSettings = ReadonlyMap<string, unknown>

export interface Judged {
  /** Right, and live; undefined takes back what was set before. */
  readonly live: ReadonlyMap<string, unknown>
  /** Right, and read at the start alone. */
  readonly needRestart: readonly string[]
  /** One sentence each, without any secret. */
  readonly mistakes: readonly string[]
}

/** Judges values as a client sends them: by name, as JSON. `null` and an empty text mean what was read. */
export function judgeSettings(values: Readonly<Record<string, unknown>>): Judged {
  const live = new Map<string, unknown>()
  const needRestart: string[] = []
  const mistakes: string[] = []
  const known = new Map(allSettings().map(({ setting }) => [setting.env, setting]))
  for (const [name, value] of Object.entries(values)) {
    const setting = known.get(name)
    if (!setting) {
      mistakes.push(`${name} is not a setting${hint(name, known.keys())}`)
      continue
    }
    const text = written(value)
    const parsed = text === '' ? undefined : setting.kind.type.safeParse(text)
    if (setting.replaced) mistakes.push(`${name} has no effect: ${setting.replaced}`)
    else if (parsed?.success === false) mistakes.push(`${name} must be ${setting.kind.expected}`)
    // A key that opens the doors of all tenants, or a file of the machine, is not for an administrator of one of them.
    else if (setting.secret || setting.file) mistakes.push(`${name} is set where the node runs, and nowhere else`)
    else if (setting.live) live.set(name, parsed?.data)
    else needRestart.push(name)
  }
  return { live, needRestart, mistakes }
}

/** `config` with what was set in the place of what was read. */
export function withAsked(config: Config, asked: AskedSettings): Config {
  const sections: Record<string, Record<string, unknown>> = {}
  for (const { section, key, setting } of placed(asked)) {
    sections[section] ??= { ...(config[section as keyof Config] as object) }
    sections[section][key] = asked.get(setting.env)
  }
  return { ...config, ...sections }
}

/** What of it stays when settings are read anew: a value that was read and is another one now has the last word. */
export function stillAsked(asked: AskedSettings, before: Config, now: Config): AskedSettings {
  const kept = placed(asked).filter((place) => Object.is(readAt(before, place), readAt(now, place)))
  return new Map(kept.map(({ setting }) => [setting.env, asked.get(setting.env)]))
}

const placed = (asked: AskedSettings): PlacedSetting[] => allSettings().filter(({ setting }) => asked.has(setting.env))

/** What can be asked for is text, a number or a switch. */
const readAt = (config: Config, { section, key }: PlacedSetting): unknown =>
  (config[section as keyof Config] as Readonly<Record<string, unknown>>)[key]
