/**
 * Tokens that the nodes of a cluster share, in Redis. A lease lets one node at a time bring new ones. Without Redis each node
 * goes on with the tokens it knows and brings its own: they are as good, there are only more of them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from '../redis/connect.js'
import type { Lease } from './lease.js'
import type { Seal } from './sealed.js'
import type { Issue, TokenStore, Tokens } from './tokens.js'

/** A refresh token's life at Neolith. */
const KEEP_MS = 7 * 24 * 60 * 60 * 1_000
/** Longer than a refresh and a sign-in after it, with the time-outs of both; how long others wait for a node that died. */
const RENEWAL_MS = 30_000
const LOOK_MS = 100

export interface RedisTokensOptions {
  readonly redis: RedisClient
  readonly key: string
  /** Held by the node that brings new tokens. */
  readonly lease: Lease
  readonly seal: Seal
  readonly onError: (error: unknown) => void
}

export class RedisTokens implements TokenStore {
  readonly #options: RedisTokensOptions
  /** The last that this node has seen. */
  #known: Tokens | undefined

  constructor(options: RedisTokensOptions) {
    this.#options = options
  }

  async read(): Promise<Tokens | undefined> {
    const { redis, key, seal, onError } = this.#options
    try {
      const sealed = await redis.get(key)
      this.#known = sealed === null ? undefined : seal.open(sealed)
    } catch (error) {
      onError(error)
    }
    return this.#known
  }

  async renew(stale: string | undefined, issue: Issue): Promise<Tokens> {
    const until = performance.now() + RENEWAL_MS
    for (;;) {
      const fresh = await this.#fresh(stale)
      if (fresh) return fresh
      // Nobody to wait for any longer: it would have lost its lease.
      if ((await this.#mayBring()) || performance.now() > until) return this.#bring(stale, issue)
      await sleep(LOOK_MS)
    }
  }

  async write(tokens: Tokens): Promise<void> {
    this.#known = tokens
    const { redis, key, seal, onError } = this.#options
    await redis.set(key, seal.close(tokens), 'PX', KEEP_MS).catch(onError)
  }

  async clear(): Promise<void> {
    this.#known = undefined
    await this.#options.redis.del(this.#options.key).catch(this.#options.onError)
  }

  async #fresh(stale: string | undefined): Promise<Tokens | undefined> {
    const tokens = await this.read()
    return tokens && tokens.accessToken !== stale ? tokens : undefined
  }

  /** Without Redis everybody may: nobody could be told. */
  async #mayBring(): Promise<boolean> {
    const { lease, onError } = this.#options
    return lease.hold(RENEWAL_MS).catch((error: unknown) => {
      onError(error)
      return true
    })
  }

  async #bring(stale: string | undefined, issue: Issue): Promise<Tokens> {
    const { lease, onError } = this.#options
    try {
      // Between our look and our lease somebody may have brought them.
      const fresh = await this.#fresh(stale)
      if (fresh) return fresh
      const tokens = await issue(this.#known)
      await this.write(tokens)
      return tokens
    } finally {
      await lease.leave().catch(onError)
    }
  }
}
