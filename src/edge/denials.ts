/**
 * What was denied at an edge, on its way into the audit log: the same denial many times is one row with a count, so that
 * whoever knocks a thousand times a second does not write a thousand rows. Never with the credential itself.
 */
import type { ErrorCode } from '../protocol/errors.js'
import type { Principal } from './auth.js'
import type { EdgeAudit } from './dependencies.js'

/** Rows come so late at most; a kill loses what this edge has not written. */
const FLUSH_MS = 10_000
/** Different denials until the next write; the rest is one row without names. */
const MAX_KINDS = 1_000
/** What a client calls an action is known; the bound is for what is not. */
const MAX_WORD = 128

interface Denial {
  readonly tenant: string | undefined
  readonly actor: string
  readonly action: 'credential.denied' | 'access.denied'
  readonly subject: string
}

export class Denials {
  readonly #audit: EdgeAudit | undefined
  readonly #counts = new Map<string, { readonly denial: Denial; readonly since: Date; count: number }>()
  #timer: NodeJS.Timeout | undefined

  /** Without an audit log nothing is noted. */
  constructor(audit: EdgeAudit | undefined) {
    this.#audit = audit
  }

  start(): void {
    this.#timer = setInterval(() => this.flush(), FLUSH_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.flush()
  }

  /** Somebody came with a credential that is none. Whoever came without one has not tried anything. */
  credential(reason: ErrorCode, address = 'unknown'): void {
    if (reason === 'credentials_missing') return
    this.#note({ tenant: undefined, actor: address, action: 'credential.denied', subject: reason })
  }

  /** Somebody who is known wanted what its role or scopes do not open, or showed a second credential that is none. */
  access({ tenant, subject: actor }: Principal, what: string): void {
    this.#note({ tenant, actor, action: 'access.denied', subject: what.slice(0, MAX_WORD) })
  }

  /** Hands what was gathered to the audit log. */
  flush(): void {
    for (const { denial, since, count } of this.#counts.values()) {
      this.#audit?.add({ ...denial, sessionId: undefined, detail: { count, since: since.toISOString() } })
    }
    this.#counts.clear()
  }

  #note(denial: Denial): void {
    if (!this.#audit) return
    const isFull = this.#counts.size >= MAX_KINDS
    const key = JSON.stringify([denial.tenant, denial.actor, denial.action, denial.subject])
    const known = this.#counts.get(key)
    if (known) known.count += 1
    else if (isFull) this.#noteOther(denial)
    else this.#counts.set(key, { denial, since: new Date(), count: 1 })
  }

  #noteOther({ action }: Denial): void {
    const others = this.#counts.get(action)
    if (others) others.count += 1
    else {
      const denial = { tenant: undefined, actor: 'many', action, subject: 'others' } as const
      this.#counts.set(action, { denial, since: new Date(), count: 1 })
    }
  }
}
