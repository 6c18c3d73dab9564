/**
 * What differs between two readings of the settings, and which of it a running process can take up.
 */
import { isDeepStrictEqual } from 'node:util'
import { shownValue } from './describe.js'
import type { Config } from './load.js'
import { allSettings } from './schema.js'

export interface SettingChange {
  /** Its name in the environment. */
  readonly name: string
  /** As a person may see them; `-` when not set. */
  readonly from: string
  readonly to: string
  readonly live: boolean
}

/** In table order. */
export function changesBetween(before: Config, after: Config): readonly SettingChange[] {
  return allSettings().flatMap(({ section, key, setting }) => {
    const [from, to] = [before, after].map((config) => valueIn(config, section, key))
    if (isDeepStrictEqual(from, to)) return []
    const [shownFrom = '-', shownTo = '-'] = [shownValue(setting, from), shownValue(setting, to)]
    return [{ name: setting.env, from: shownFrom, to: shownTo, live: setting.live }]
  })
}

/** `before`, with what is live as `after` has it. */
export function withLiveOf(before: Config, after: Config): Config {
  const sections: Record<string, Record<string, unknown>> = {}
  for (const { section, key, setting } of allSettings()) {
    sections[section] ??= {}
    sections[section][key] = valueIn(setting.live ? after : before, section, key)
  }
  const { lanes, warnings } = before
  return { ...(sections as unknown as Config), lanes, warnings, origins: after.origins }
}

const valueIn = (config: Config, section: string, key: string): unknown =>
  (config[section as keyof Config] as Readonly<Record<string, unknown>>)[key]
