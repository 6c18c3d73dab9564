/**
 * The list of keys with which programs come in: `[{"key":"…","clientId":"ci","scopes":["*"],"role":"user"}]`.
 */
import { z } from 'zod'
import { type Kind, parsedJson } from './kinds.js'

export const API_KEY_ROLES = ['admin', 'user', 'readonly'] as const
export type ApiKeyRole = (typeof API_KEY_ROLES)[number]

export interface ApiKey {
  readonly key: string
  /** Who comes with this key; each key has its own. */
  readonly clientId: string
  /** Left out: all that the role may do. */
  readonly scopes?: readonly string[] | undefined
  readonly role: ApiKeyRole
}

/** Guessing must be hopeless at any rate that a server can answer. */
const MIN_KEY_CHARACTERS = 32
const MAX_KEY_CHARACTERS = 512
/** Every key is compared for every caller that brings one. */
const MAX_KEYS = 1_000
const MAX_SCOPES = 64
/** A client id is a tenant too, and tenants have this alphabet. */
const CLIENT_ID = /^[A-Za-z0-9_-]{1,64}$/

const apiKey = z.strictObject({
  key: z.string().min(MIN_KEY_CHARACTERS).max(MAX_KEY_CHARACTERS),
  clientId: z.string().regex(CLIENT_ID),
  scopes: z.array(z.string().min(1).max(128)).max(MAX_SCOPES).optional(),
  role: z.enum(API_KEY_ROLES).default('user'),
})

export const apiKeys: Kind<readonly ApiKey[]> = {
  type: z.string().transform(parsedJson).pipe(z.array(apiKey).max(MAX_KEYS).refine(differ)),
  expected:
    `a JSON list such as [{"key":"…","clientId":"ci","role":"user"}] with keys of at least ${MIN_KEY_CHARACTERS} ` +
    `characters, all different, and roles out of ${API_KEY_ROLES.join(', ')}`,
}

function differ(keys: readonly ApiKey[]): boolean {
  return new Set(keys.map(({ key }) => key)).size === keys.length
}
