/**
 * What a sign-in at Neolith brings, and where the nodes of a cluster keep it for each other. Of several callers, on whatever
 * node, one brings new tokens; the others get those.
 */

export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** ISO 8601, by Neolith's clock. */
  readonly expiresAt: string
  /** Neolith's name for this sign-in. */
  readonly sessionId: string
  readonly orchestratorId: string
  /** Under which the orchestrator writes messages. */
  readonly userId: string
  readonly scopes: readonly string[]
}

/** Brings new tokens; `known` are those that somebody had before, if anybody did. */
export type Issue = (known: Tokens | undefined) => Promise<Tokens>

export interface TokenStore {
  /** The newest that anybody has brought. */
  read(): Promise<Tokens | undefined>
  /** Tokens with another access token than `stale`: those of whoever was faster, else new ones. @throws what `issue` throws */
  renew(stale: string | undefined, issue: Issue): Promise<Tokens>
  write(tokens: Tokens): Promise<void>
  clear(): Promise<void>
}

/** For one process alone. */
export class MemoryTokens implements TokenStore {
  #tokens: Tokens | undefined
  #renewal: Promise<Tokens> | undefined

  async read(): Promise<Tokens | undefined> {
    return this.#tokens
  }

  async renew(stale: string | undefined, issue: Issue): Promise<Tokens> {
    if (this.#tokens && this.#tokens.accessToken !== stale) return this.#tokens
    this.#renewal ??= this.#bring(issue).finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async write(tokens: Tokens): Promise<void> {
    this.#tokens = tokens
  }

  async clear(): Promise<void> {
    this.#tokens = undefined
  }

  async #bring(issue: Issue): Promise<Tokens> {
    this.#tokens = await issue(this.#tokens)
    return this.#tokens
  }
}
