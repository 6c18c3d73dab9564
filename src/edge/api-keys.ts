/**
 * API keys: long random strings that stand for a client until they are taken from the settings.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { tenantSchema } from '../protocol/ids.js'
import type { ClientRole } from '../protocol/permissions.js'

export interface ApiKey {
  readonly key: string
  /** Tenant and subject in one: a key is one client, alone in its tenant. */
  readonly clientId: string
  /** Undefined: all that the role may do. */
  readonly scopes?: readonly string[] | undefined
  /** Default `user`. */
  readonly role?: ClientRole | undefined
}

/** What a key stands for. */
export type KeyHolder = Omit<ApiKey, 'key' | 'role'> & { readonly role: ClientRole }

interface StoredKey {
  readonly digest: Buffer
  readonly holder: KeyHolder
}

export class ApiKeys {
  readonly #keys: readonly StoredKey[]

  /** @throws Error when a client id cannot be a tenant; the message holds no key. */
  constructor(keys: readonly ApiKey[]) {
    this.#keys = keys.map(stored)
  }

  get size(): number {
    return this.#keys.length
  }

  /** Everybody who has a key. */
  holders(): readonly KeyHolder[] {
    return this.#keys.map(({ holder }) => holder)
  }

  /**
   * Whose key this is. Digests of equal length are compared, and always all of them: how long it takes tells neither how
   * much of a key was right nor which one it is near.
   */
  find(given: string): KeyHolder | undefined {
    const digest = digestOf(given)
    let found: KeyHolder | undefined
    for (const { digest: known, holder } of this.#keys) {
      if (timingSafeEqual(known, digest)) found = holder
    }
    return found
  }
}

function stored({ key, clientId, scopes, role = 'user' }: ApiKey): StoredKey {
  if (!tenantSchema.safeParse(clientId).success) {
    throw new Error(`the client id of an API key must be 1 to 64 letters, digits, _ or -, not "${clientId}"`)
  }
  return { digest: digestOf(key), holder: { clientId, scopes, role } }
}

const digestOf = (key: string): Buffer => createHash('sha256').update(key).digest()
