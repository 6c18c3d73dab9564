/**
 * What a setting is. The kinds of values that settings have stand in `kinds`.
 */
import type { Kind } from './kinds.js'

export interface Setting<T> {
  /** Name in the environment and in `.env`. */
  readonly env: string
  /** Older or other names, looked at when `env` is not set. */
  readonly aliases: readonly string[]
  /** Name of the command-line option that overrides it, in camel case. */
  readonly flag: string | undefined
  readonly kind: Kind<T>
  /** As one would write it; undefined means: not set. */
  readonly fallback: string | undefined
  readonly meaning: string
  readonly unit: string | undefined
  /** Never printed. */
  readonly secret: boolean
  /** What stands in for it here, as a sentence: accepted, with a warning, because the reference has it. */
  readonly replaced: string | undefined
  /** A change takes effect while the process runs; the others wait for the next start. */
  readonly live: boolean
  /** Names a file of the machine, so only whoever is at home there may choose it. */
  readonly file: boolean
}

interface Extras {
  readonly aliases?: readonly string[]
  readonly flag?: string
  readonly unit?: string
  readonly secret?: boolean
  readonly replaced?: string
  readonly live?: boolean
  readonly file?: boolean
}

/** A setting that always has a value. */
export const setting = <T>(
  env: string,
  kind: Kind<T>,
  fallback: string,
  meaning: string,
  extras: Extras = {},
): Setting<T> => complete(env, kind, fallback, meaning, extras)

/** A setting that may be absent. */
export const optional = <T>(env: string, kind: Kind<T>, meaning: string, extras: Extras = {}): Setting<T | undefined> =>
  complete<T | undefined>(env, kind, undefined, meaning, extras)

function complete<T>(
  env: string,
  kind: Kind<T>,
  fallback: string | undefined,
  meaning: string,
  extras: Extras,
): Setting<T> {
  return {
    env,
    kind,
    fallback,
    meaning,
    aliases: extras.aliases ?? [],
    flag: extras.flag,
    unit: extras.unit,
    secret: extras.secret ?? false,
    replaced: extras.replaced,
    live: extras.live ?? false,
    file: extras.file ?? false,
  }
}
