/**
 * The settings as a person may see them: each with its value, where that came from, and no secret.
 */
import type { Config } from './load.js'
import { allSettings } from './schema.js'
import type { Setting } from './setting.js'
import type { Origin } from './sources.js'

export interface EffectiveSetting {
  readonly section: string
  /** Its name in the environment. */
  readonly name: string
  /** As one would write it; `set (hidden)` for a secret, undefined when not set. */
  readonly value: string | undefined
  readonly source: Origin
  readonly unit: string | undefined
  readonly meaning: string
  /** A change takes effect while the process runs. */
  readonly live: boolean
}

const HIDDEN = 'set (hidden)'

/** All settings in table order. Passwords in URLs are hidden too. */
export function effectiveSettings(config: Config): readonly EffectiveSetting[] {
  return allSettings().map(({ section, key, setting }) => ({
    section,
    name: setting.env,
    value: shownValue(setting, valueAt(config, section, key)),
    source: config.origins.get(setting.env) ?? 'default',
    unit: setting.unit,
    meaning: setting.meaning,
    live: setting.live,
  }))
}

function valueAt(config: Config, section: string, key: string): unknown {
  const values = config[section as keyof Config] as Readonly<Record<string, unknown>>
  return values[key]
}

/** As one would write it, without any secret; undefined when not set. */
export function shownValue({ secret }: Setting<unknown>, value: unknown): string | undefined {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined
  if (typeof value === 'string' && value.includes('://') && URL.canParse(value)) return withoutPassword(value, secret)
  if (secret) return HIDDEN
  return Array.isArray(value) ? value.join(',') : String(value)
}

/** The query goes too, because drivers take passwords there; of a webhook the path is what nobody else may know. */
function withoutPassword(address: string, secret: boolean): string {
  const url = new URL(address)
  const isHook = secret && url.protocol.startsWith('http')
  if (url.password === '' && url.search === '' && !isHook) return address
  if (isHook) url.pathname = '/hidden'
  if (url.password !== '') url.password = 'hidden'
  if (url.search !== '') url.search = '?hidden'
  return url.href
}
