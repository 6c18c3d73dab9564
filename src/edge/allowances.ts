/**
 * Allowances by the name under which messages count: one for all who send under it here, and kept for a while for those
 * who come again, because most requests come after one another.
 */
import type { Admission, Allowance, RateLimit } from './rate-limit.js'

/** Somebody who comes again within this time finds what was leased for it. */
const KEEP_MS = 60_000
/** Allowances that are kept for those who are not there. */
const MAX_KEPT = 10_000

/** What all who send under one name share here. */
export interface Shared {
  readonly allowance: Allowance
  /** Requests that have no answer yet. */
  requests: number
  holders: number
}

export class Allowances {
  readonly #rates: RateLimit
  readonly #shared = new Map<string, Shared>()
  /** Since when nobody of this name is here, oldest first. */
  readonly #left = new Map<string, number>()

  constructor(rates: RateLimit) {
    this.#rates = rates
  }

  /** Names that are remembered. */
  get size(): number {
    return this.#shared.size
  }

  /** Begins to send under a name; each time ends with `release`. */
  hold(name: string): Shared {
    const shared = this.#shared.get(name) ?? { allowance: this.#rates.allowance(name), requests: 0, holders: 0 }
    this.#shared.set(name, shared)
    this.#left.delete(name)
    shared.holders += 1
    return shared
  }

  /** The count itself is kept by the limiter: of those who do not come again only what was leased and not spent is lost. */
  release(name: string): void {
    const shared = this.#shared.get(name)
    if (!shared) return
    shared.holders -= 1
    if (shared.holders > 0) return
    const now = performance.now()
    this.#left.set(name, now)
    for (const [oldest, since] of this.#left) {
      if (now - since < KEEP_MS && this.#left.size <= MAX_KEPT) break
      this.#left.delete(oldest)
      this.#shared.delete(oldest)
    }
  }

  /** For how many ms everything under the name is refused, as far as is known without asking. */
  refusedForMs(name: string): Admission {
    return this.#shared.get(name)?.allowance.refusedForMs()
  }

  /** Counts something that happens anyway. */
  charge(name: string): void {
    if (!this.#rates.isOn) return
    void this.hold(name).allowance.take()
    this.release(name)
  }
}

/** Both must let a message pass; one that the first refuses costs nothing of the second. */
export function jointAllowance(first: Allowance | undefined, second: Allowance): Pick<Allowance, 'take'> {
  if (!first) return second
  return {
    take: () => {
      const admission = first.take()
      if (admission === undefined) return second.take()
      if (typeof admission === 'number') return admission
      return admission.then((refusedForMs) => refusedForMs ?? second.take())
    },
  }
}
