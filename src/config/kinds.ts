/**
 * The kinds of values settings have. Every value arrives as text, from the environment, a file or a flag, and each kind
 * says in words what it expects, so that a mistake can be answered with one plain sentence.
 */
import { isIP } from 'node:net'
import { z } from 'zod'

export interface Kind<T> {
  readonly type: z.ZodType<T, string>
  /** Completes "NAME must be …". */
  readonly expected: string
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

/**
 * The port of another server. Kubernetes puts `tcp://10.0.0.1:6379` into variables such as REDIS_PORT for a service of
 * that name: the port in it is the one that is meant.
 */
export const remotePort: Kind<number> = {
  type: z
    .string()
    .transform((value) => value.replace(/^tcp:\/\/[^\s/]+:/, ''))
    .pipe(wholeNumber(1, 65_535).type),
  expected: 'a whole number from 1 to 65535',
}

/** A share of a whole, such as 0.8. */
export const fraction: Kind<number> = {
  type: z
    .string()
    .regex(/^(0(\.\d{1,6})?|1(\.0{1,6})?|\.\d{1,6})$/)
    .transform(Number),
  expected: 'a number from 0 to 1, such as 0.8',
}

/** `DEBUG`, which other programs fill with patterns of their own: only `true` and `*` mean us. */
export const debugSwitch: Kind<boolean> = {
  type: z
    .string()
    .max(MAX_TEXT)
    .transform((value) => value === '*' || TRUE.includes(value.toLowerCase())),
  expected: 'true or *',
}

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

/** `["…","…"]`, of which none is printed. */
export const secrets = (minLength: number, most: number): Kind<readonly string[]> => ({
  type: z
    .string()
    .transform(parsedJson)
    .pipe(z.array(z.string().min(minLength).max(MAX_TEXT)).max(most)),
  expected: `a JSON list of at most ${most} texts of at least ${minLength} characters each`,
})

/** What is no JSON is no list either; the text itself is a secret. */
export function parsedJson(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

/** Some of the words, with commas between them. */
export const listOf = <const T extends string>(words: readonly [T, ...T[]]): Kind<readonly T[]> => ({
  type: z
    .string()
    .max(MAX_TEXT)
    .transform((value) => value.split(',').map((word) => word.trim()))
    .pipe(z.array(z.enum(words)).min(1)),
  expected: `one or more of ${words.join(', ')}, with commas between them`,
})

/** A name or an address of another server, without port. */
export const host: Kind<string> = {
  type: z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._:-]{1,253})$/),
  expected: 'the name or address of a server, without a port',
}

/** `host:port,host:port`. */
export const addresses: Kind<readonly string[]> = {
  type: z
    .string()
    .transform((value) => value.split(',').map((address) => address.trim()))
    .refine((list) => list.every((address) => /^[^\s:,]+:\d{1,5}$/.test(address))),
  expected: 'a list such as host1:6379,host2:6379',
}

/** `10.0.0.0/8,192.0.2.7,2001:db8::/32`; an empty text is none. */
export const networks: Kind<readonly string[]> = {
  type: z
    .string()
    .max(MAX_TEXT)
    .transform((value) => value.split(',').flatMap((network) => network.trim() || []))
    .refine((list) => list.every(isNetwork)),
  expected: 'a list of addresses and networks such as 10.0.0.0/8,192.0.2.7',
}

function isNetwork(text: string): boolean {
  const [address = '', prefix = '0', ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || address.includes('%')) return false
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)
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

/** `*`, or `https://a.example,http://localhost:3000`: scheme, host and port, as browsers send it. */
export const origins: Kind<readonly string[]> = {
  type: z
    .string()
    .max(MAX_TEXT)
    .transform((value) => value.split(',').map((origin) => origin.trim().replace(/\/$/, '')))
    .refine((list) => list.every((origin) => origin === '*' || isOrigin(origin))),
  expected: 'a list such as http://localhost:3000,https://app.example.com, or *',
}

const isOrigin = (value: string): boolean => URL.canParse(value) && new URL(value).origin === value.toLowerCase()
