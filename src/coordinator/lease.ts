/**
 * The leader's lease: Postgres decides who leads, by its own clock; this side stops believing in it in time, by a
 * monotonic clock that starts when the renewal is sent.
 */
import type { NodeId } from '../protocol/ids.js'
import type { LeaderLease, Leadership } from '../storage/leader.js'

export const LEASE_MS = 5_000
/** Two renewals may fail before the lease ends. */
const RENEW_AFTER_MS = LEASE_MS / 3
/** Between the last moment we believe in the lease and the first in which another may get it. */
const MARGIN_MS = 500

export interface LeaseOptions {
  readonly records: Pick<LeaderLease, 'campaign' | 'renew' | 'resign'>
  readonly holder: NodeId
  /** Monotonic, in ms. */
  readonly clock: () => number
}

export class Lease {
  #term: Leadership | undefined
  /** When the last successful campaign or renewal was sent. */
  #sentAt = 0

  constructor(private readonly options: LeaseOptions) {}

  /** The term under which this process may act now; ask again right before each write. */
  get term(): Leadership | undefined {
    return this.#age() < LEASE_MS - MARGIN_MS ? this.#term : undefined
  }

  /**
   * Campaigns, or renews when it is time. Returns the term that is held afterwards.
   * @throws when Postgres cannot be reached; the term then stands until it runs out.
   */
  async hold(): Promise<Leadership | undefined> {
    if (!this.term) await this.#campaign()
    else if (this.#age() >= RENEW_AFTER_MS) await this.#renew()
    return this.term
  }

  /** Gives the leadership away at once. */
  async resign(): Promise<void> {
    const term = this.#term
    this.#term = undefined
    if (term) await this.options.records.resign(term.holder, term.term)
  }

  async #campaign(): Promise<void> {
    const { records, holder, clock } = this.options
    this.#term = undefined
    const sentAt = clock()
    const won = await records.campaign(holder, LEASE_MS)
    if (!won) return
    this.#sentAt = sentAt
    this.#term = { holder, term: won.term }
  }

  async #renew(): Promise<void> {
    const { records, clock } = this.options
    const term = this.#term
    if (!term) return
    const sentAt = clock()
    if (await records.renew(term.holder, term.term, LEASE_MS)) this.#sentAt = sentAt
    else this.#term = undefined
  }

  #age(): number {
    return this.options.clock() - this.#sentAt
  }
}
