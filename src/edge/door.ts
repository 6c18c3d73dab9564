/**
 * The door for those who come over the network: is there room, who is it, may they have one more connection. Behind it,
 * each client is counted and gets the allowance that it shares with its other connections.
 */
import type { ErrorCode } from '../protocol/errors.js'
import type { Authenticator, Credentials, Principal } from './auth.js'
import type { Connection } from './connection.js'
import type { ConnectionLimit } from './connection-limit.js'
import type { Allowance, RateLimit } from './rate-limit.js'

export type DoorVerdict =
  | { readonly ok: true; readonly principal: Principal }
  | { readonly ok: false; readonly reason: ErrorCode }

interface Shared {
  readonly allowance: Allowance
  connections: number
}

export class Door {
  readonly #authenticator: Authenticator
  readonly #limit: ConnectionLimit
  readonly #rates: RateLimit | undefined
  readonly #shared = new Map<string, Shared>()

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

  /** What a connection of this principal may send; give it back with `closed`. */
  allowanceOf(principal: Principal): Allowance | undefined {
    const name = nameOf(principal)
    if (name === undefined || !this.#rates) return undefined
    const shared = this.#shared.get(name) ?? { allowance: this.#rates.allowance(name), connections: 0 }
    shared.connections += 1
    this.#shared.set(name, shared)
    return shared.allowance
  }

  opened(connection: Connection): void {
    this.#limit.opened(connection, nameOf(connection.principal))
  }

  closed(connection: Connection): void {
    const name = nameOf(connection.principal)
    this.#limit.closed(connection, name)
    const shared = name === undefined ? undefined : this.#shared.get(name)
    if (!shared || name === undefined) return
    shared.connections -= 1
    // The count itself is kept by the limiter: only what was leased and not spent is lost.
    if (shared.connections === 0) this.#shared.delete(name)
  }
}

/** Under which a principal is counted; undefined for one that is not. A tenant holds no colon. */
const nameOf = ({ tenant, subject, unlimited }: Principal): string | undefined =>
  unlimited ? undefined : `${tenant}:${subject}`
