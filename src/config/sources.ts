/**
 * Where values come from: options of the command line, the environment, and `.env`. The settings file has a file of its
 * own.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { wundrNames } from './reference-paths.js'
import type { Setting } from './setting.js'

/** Highest precedence first. */
const ORIGINS = ['flag', 'environment', '.env', 'file', 'default'] as const
export type Origin = (typeof ORIGINS)[number]

export interface Given {
  readonly text: string
  /** What the user wrote it as: `--port`, `DAEMON_PORT`, `server.port in settings.yaml`. */
  readonly label: string
}

export interface Source {
  readonly origin: Origin
  /** Undefined: this source does not have it. */
  find(setting: Setting<unknown>): Given | undefined
}

export type FlagValue = string | number | boolean | undefined
export type Flags = Readonly<Record<string, FlagValue>>
export type Names = Readonly<Record<string, string | undefined>>

export function flagSource(flags: Flags): Source {
  return {
    origin: 'flag',
    find({ flag }) {
      const value = flag === undefined ? undefined : flags[flag]
      return value === undefined ? undefined : { text: String(value), label: `--${kebab(flag ?? '')}` }
    },
  }
}

/** An empty value counts as absent: `REDIS_URL=` in a compose file means that there is no Redis. */
export function nameSource(origin: Origin, names: Names): Source {
  return {
    origin,
    find({ env, aliases }) {
      for (const label of [env, ...aliases, ...(wundrNames.get(env) ?? [])]) {
        const text = names[label]?.trim()
        if (text) return { text, label }
      }
      return undefined
    },
  }
}

/** The names in `.env`, which may be missing. What cannot be read becomes one of the `mistakes`. */
export function readEnvFile(cwd: string, mistakes: string[]): Names {
  const path = join(cwd, '.env')
  try {
    return parseEnv(readFileSync(path, 'utf8')) as Names
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') mistakes.push(`${path} could not be read: ${message}`)
    return {}
  }
}

const kebab = (flag: string): string => flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
