/**
 * Public keys of another issuer of tokens (a JWKS): fetched ahead and again, because the door must answer at once
 * (docs/decisions/0011-tokens-are-checked-at-once.md). Keys that are known stay so while their server is away; a token with
 * a key that is not known makes them be fetched, and is refused meanwhile.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { createRemoteJWKSet, customFetch, type JWK, type RemoteJWKSet } from 'jose'
import type { EdgeLog } from './dependencies.js'
import type { RemoteKeySettings } from './settings.js'
import { PUBLIC_KEY_ALGORITHMS, type PublicKeyAlgorithm } from './signature.js'

/** Issuers publish a key well before they sign with it. */
const REFRESH_MS = 300_000
/** Somebody who invents key ids makes us ask this often and no more. */
const COOLDOWN_MS = 10_000
const FETCH_TIMEOUT_MS = 5_000
/** A set of some keys has a few kilobytes. */
const MAX_BODY_BYTES = 256 * 1024
const MAX_KEYS = 100
/** Shorter ones can be factored; checking with longer ones takes milliseconds of the event loop. */
const RSA_BITS = { least: 2_048, most: 8_192 } as const

export interface RemoteKeyTimes {
  readonly refreshMs: number
  readonly cooldownMs: number
  readonly timeoutMs: number
}

/** `unknown`: the issuer has none of this name. `loading`: it may have, and is being asked. */
export type FoundKey = KeyObject | 'unknown' | 'loading'

interface RemoteKey {
  readonly id: string | undefined
  readonly algorithm: PublicKeyAlgorithm
  readonly key: KeyObject
}

export class RemoteKeys {
  readonly #settings: RemoteKeySettings
  readonly #times: RemoteKeyTimes
  readonly #trace: Pick<EdgeLog, 'info' | 'warn'>
  readonly #remote: RemoteJWKSet
  #keys: readonly RemoteKey[] = []
  #askedAt = Number.NEGATIVE_INFINITY
  #asking = false
  #state: 'new' | 'here' | 'away' = 'new'
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(settings: RemoteKeySettings, trace: Pick<EdgeLog, 'info' | 'warn'>, times: Partial<RemoteKeyTimes> = {}) {
    this.#settings = settings
    this.#trace = trace
    this.#times = { refreshMs: REFRESH_MS, cooldownMs: COOLDOWN_MS, timeoutMs: FETCH_TIMEOUT_MS, ...times }
    this.#remote = createRemoteJWKSet(new URL(settings.url), {
      timeoutDuration: this.#times.timeoutMs,
      [customFetch]: async (url, options) => bounded(await fetch(url, options)),
    })
  }

  /** Resolves when the keys have come, or will not in time. Never rejects: others may still come in. */
  async start(): Promise<void> {
    await this.#refresh()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** The key that a token names. Without a name: the only one for its algorithm. Answers at once. */
  find(algorithm: PublicKeyAlgorithm, id: string | undefined): FoundKey {
    const fitting = this.#keys.filter((key) => key.algorithm === algorithm && (id === undefined || key.id === id))
    const [only, ...more] = fitting
    if (only && more.length === 0) return only.key
    if (only) return 'unknown'
    if (!this.#asking && performance.now() - this.#askedAt >= this.#times.cooldownMs) void this.#refresh()
    return this.#asking || this.#state !== 'here' ? 'loading' : 'unknown'
  }

  async #refresh(): Promise<void> {
    if (this.#asking || this.#stopped) return
    clearTimeout(this.#timer)
    this.#asking = true
    this.#askedAt = performance.now()
    try {
      await this.#remote.reload()
      this.#take(this.#remote.jwks()?.keys ?? [])
    } catch (err) {
      this.#failed(err)
    } finally {
      this.#asking = false
    }
    if (this.#stopped) return
    const { refreshMs, cooldownMs } = this.#times
    this.#timer = setTimeout(() => void this.#refresh(), this.#state === 'here' ? refreshMs : cooldownMs)
  }

  /** @throws Error when there is nothing to verify with: then those from before stay. */
  #take(keys: readonly JWK[]): void {
    const usable = keys.slice(0, MAX_KEYS).flatMap((jwk) => usableKey(jwk, this.#settings.algorithms) ?? [])
    if (usable.length === 0) throw new Error(`none of its keys is for ${this.#settings.algorithms.join(', ')}`)
    this.#keys = usable
    if (this.#state !== 'here') this.#trace.info({ keys: usable.length }, 'the keys of the token issuer are here')
    this.#state = 'here'
  }

  #failed(err: unknown): void {
    if (this.#state === 'away' || this.#stopped) return
    this.#state = 'away'
    const known = this.#keys.length
    this.#trace.warn({ err, known }, 'the keys of the token issuer cannot be fetched; asking again, with those known')
  }
}

/** A key that verifies signatures of one of the algorithms, and of no other. */
function usableKey(jwk: JWK, allowed: readonly PublicKeyAlgorithm[]): RemoteKey | undefined {
  if (jwk.use !== undefined && jwk.use !== 'sig') return undefined
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes('verify')) return undefined
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const algorithm = PUBLIC_KEY_ALGORITHMS.find((name) => allowed.includes(name) && fits(key, name))
    // The issuer may pin it further.
    if (!algorithm || (jwk.alg !== undefined && jwk.alg !== algorithm)) return undefined
    return { id: jwk.kid, algorithm, key }
  } catch {
    // A kind of key that is not known here, or a broken one: the others may do.
    return undefined
  }
}

function fits({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: PublicKeyAlgorithm): boolean {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {}
  switch (algorithm) {
    case 'RS256':
      return asymmetricKeyType === 'rsa' && modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most
    case 'ES256':
      return asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
    case 'EdDSA':
      return asymmetricKeyType === 'ed25519'
  }
}

/** The answer with a body that is not longer than it may be. @throws Error when it is */
async function bounded(response: Response): Promise<Response> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength
    if (bytes > MAX_BODY_BYTES) throw new Error(`the key set has more than ${MAX_BODY_BYTES} bytes`)
    pieces.push(piece)
  }
  return new Response(Buffer.concat(pieces), { status: response.status })
}
