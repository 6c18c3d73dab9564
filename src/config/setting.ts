/**
 * What a setting is, and the kinds of values settings have. Every value arrives as text, from the environment, a file or
 * a flag, and each kind says in words what it expects, so that a mistake can be answered with one plain sentence.
 */
import { z } from 'zod'

export interface Kind<T> {
  readonly type: z.ZodType<T, string>
  /** Completes "NAME must be …". */
  readonly expected: string
}

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
}

interface Extras {
  readonly aliases?: readonly string[]
  readonly flag?: string
  readonly unit?: string
  readonly secret?: boolean
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
  }
}

/** Longer than any sensible URL, path or key; a bound at all, because values end up in logs and keys. */
const MAX_TEXT = 4_096
const TRUE = ['true', '1', 'yes', 'on']
const FALSE = ['false', '0', 'no', 'off']
const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const
const DURATION = /^(\d{1,9})([smhd]?)$/

export const text: Kind<string> = {
  type: z.string().max(MAX_TEXT),
  expected: `a text of at most ${MAX_TEXT} characters`,
}

export const flag: Kind<boolean> = {
  type: z
    .string()
    .toLowerCase()
    .refine((value) => [...TRUE, ...FALSE].includes(value))
    .transform((value) => TRUE.includes(value)),
  expected: 'true or false',
}

export const wholeNumber = (min: number, max: number): Kind<number> => ({
  type: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max),
  expected: `a whole number from ${min} to ${max}`,
})

/** A port to listen on; 0 lets the system choose. */
export const port: Kind<number> = wholeNumber(0, 65_535)

/** At most a day, which a timer can hold: Node.js fires longer ones at once when they pass 2³¹ ms. */
export const milliseconds = (min: number): Kind<number> => wholeNumber(min, 86_400_000)

export const choice = <const T extends string>(values: readonly T[]): Kind<T> => ({
  type: z.string().pipe(z.enum(values)),
  expected: `one of ${values.join(', ')}`,
})

/** `90`, `90s`, `15m`, `24h` or `7d`, in seconds. */
export const duration: Kind<number> = {
  type: z
    .string()
    .regex(DURATION)
    .transform(secondsOf)
    .refine((value) => value > 0),
  expected: 'a time such as 90s, 15m, 24h or 7d',
}

function secondsOf(value: string): number {
  const [, amount, unit] = DURATION.exec(value) ?? []
  return Number(amount) * SECONDS[(unit || 's') as keyof typeof SECONDS]
}

export const url = (...protocols: readonly string[]): Kind<string> => ({
  type: z
    .string()
    .max(MAX_TEXT)
    .refine((value) => protocols.some((protocol) => value.startsWith(`${protocol}://`)) && URL.canParse(value)),
  expected: `a URL that starts with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
})

export const secret = (minLength: number): Kind<string> => ({
  type: z.string().min(minLength).max(MAX_TEXT),
  expected: `a text of at least ${minLength} characters`,
})

/** `host:port,host:port`. */
export const addresses: Kind<readonly string[]> = {
  type: z
    .string()
    .transform((value) => value.split(',').map((address) => address.trim()))
    .refine((list) => list.every((address) => /^[^\s:,]+:\d{1,5}$/.test(address))),
  expected: 'a list such as host1:6379,host2:6379',
}

/** A part of Redis keys or of a node id, so the alphabet is closed. */
export const name: Kind<string> = {
  type: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  expected: '1 to 64 letters, digits, dots, _ or -, and start with a letter or digit',
}

export const urlPath: Kind<string> = {
  type: z.string().regex(/^\/[^\s?#]{0,255}$/),
  expected: 'a path that starts with /, without ? and #',
}
