/**
 * The door for those who come over the network: is there room, who is it, may they have one more connection. Behind it,
 * each client is counted and gets the allowance that it shares with its other connections.
 */
import { LIMITS } from '../bus/bus.js'
import { type ErrorCode, ServiceError } from '../protocol/errors.js'
import type { Authenticator, Credentials, Principal } from './auth.js'
import type { Connection } from './connection.js'
import type { ConnectionLimit } from './connection-limit.js'
import type { Admission, Allowance, RateLimit } from './rate-limit.js'

export type DoorVerdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: ErrorCode }

/** A request that has no answer yet. */
export interface Visit {
  /** Takes the right to it. */
  take(): Admission | Promise<Admission>
  leave(): void
}

interface Shared {
  readonly allowance: Allowance | undefined
  connections: number
  requests: number
}

/** Requests of one principal that have no answer yet, at this edge. */
const MAX_REQUESTS = 256
/** Somebody who comes again within this time finds what was leased for it: most requests come after one another. */
const KEEP_MS = 60_000
/** Allowances that are kept for those who are not there. */
const MAX_KEPT = 10_000

export class Door {
  readonly #authenticator: Authenticator
  readonly #limit: ConnectionLimit
  readonly #rates: RateLimit | undefined
  readonly #shared = new Map<string, Shared>()
  /** Since when nobody of this name is here, oldest first. */
  readonly #left = new Map<string, number>()

  /** Without rates, everybody may send as much as they like. */
  constructor(authenticator: Authenticator, limit: ConnectionLimit, rates: RateLimit | undefined) {
    this.#authenticator = authenticator
    this.#limit = limit
    this.#rates = rates
  }

  admit(credentials: Credentials): DoorVerdict {
    // First, because it costs nothing and says nothing about anybody.
    if (this.#limit.isFull) return { ok: false, reason: 'edge_full' }
    const verdict = this.#authenticator.authenticate(credentials)
    if (!verdict.ok) return verdict
    const name = nameOf(verdict.principal)
    const hasRoom = name === undefined || this.#limit.hasRoomFor(name)
    return hasRoom ? verdict : { ok: false, reason: 'connection_limit_exceeded' }
  }

  /** Who sends a request; whether it may have one more connection is not asked. */
  identify(credentials: Credentials): DoorVerdict {
    return this.#authenticator.authenticate(credentials)
  }

  /** Begins a request. @throws ServiceError `busy` when too many of this principal have no answer yet */
  enter(principal: Principal): Visit {
    const name = nameOf(principal)
    if (name === undefined) return UNCOUNTED
    const shared = this.#share(name)
    if (shared.requests >= MAX_REQUESTS) throw new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs })
    shared.requests += 1
    return {
      take: () => shared.allowance?.take(),
      leave: () => {
        shared.requests -= 1
        this.#release(name, shared)
      },
    }
  }

  /** What a connection of this principal may send; give it back with `closed`. */
  allowanceOf(principal: Principal): Allowance | undefined {
    const name = nameOf(principal)
    if (name === undefined || !this.#rates) return undefined
    const shared = this.#share(name)
    shared.connections += 1
    return shared.allowance
  }

  opened(connection: Connection): void {
    this.#limit.opened(connection, nameOf(connection.principal))
  }

  closed(connection: Connection): void {
    const name = nameOf(connection.principal)
    this.#limit.closed(connection, name)
    const shared = name === undefined ? undefined : this.#shared.get(name)
    if (!shared || name === undefined || shared.connections === 0) return
    shared.connections -= 1
    this.#release(name, shared)
  }

  #share(name: string): Shared {
    const shared = this.#shared.get(name) ?? { allowance: this.#rates?.allowance(name), connections: 0, requests: 0 }
    this.#shared.set(name, shared)
    this.#left.delete(name)
    return shared
  }

  /** The count itself is kept by the limiter: of those who do not come again only what was leased and not spent is lost. */
  #release(name: string, { connections, requests }: Shared): void {
    if (connections + requests > 0) return
    const now = performance.now()
    this.#left.delete(name)
    this.#left.set(name, now)
    for (const [oldest, since] of this.#left) {
      if (now - since < KEEP_MS && this.#left.size <= MAX_KEPT) break
      this.#left.delete(oldest)
      this.#shared.delete(oldest)
    }
  }
}

/** Of somebody at this machine, where nobody else may come. */
const UNCOUNTED: Visit = { take: () => undefined, leave: () => undefined }

/** Under which a principal is counted; undefined for one that is not. A tenant holds no colon. */
const nameOf = ({ tenant, subject, unlimited }: Principal): string | undefined =>
  unlimited ? undefined : `${tenant}:${subject}`
