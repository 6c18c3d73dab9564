/**
 * The door for those who come over the network: is there room, may anybody come from there, who is it, may they have one
 * more connection. Behind it, each client is counted under its own name and under its address, and gets the allowances
 * that it shares with others of the same.
 */
import { LIMITS } from '../bus/bus.js'
import { type ErrorCode, ServiceError } from '../protocol/errors.js'
import type { AddressConnections, Present } from './address-connections.js'
import { Allowances, jointAllowance, type Shared } from './allowances.js'
import type { Authenticator, Credentials, Principal } from './auth.js'
import { type ClientAddresses, networkOf } from './client-address.js'
import type { Connection } from './connection.js'
import type { ConnectionLimit } from './connection-limit.js'
import type { Admission, Allowance, RateLimit } from './rate-limit.js'
import type { LimitSettings } from './settings.js'

export type DoorVerdict =
  | { readonly ok: true; readonly principal: Principal }
  | {
      readonly ok: false
      readonly reason: ErrorCode
      readonly retryAfterMs?: number | undefined
      /** Where a credential came from that is none. */
      readonly address?: string
    }

/** Who will say who they are when they are inside; until then nothing is done for them. */
const GUEST: Principal = {
  tenant: '-',
  subject: '-',
  role: 'readonly',
  scopes: [],
  expiresAt: undefined,
  isGuest: true,
}
/** Of those at an edge at a time: they cost a socket and a timer each, and nothing is known of them. */
const MAX_GUESTS = 1_000

/** A request that has no answer yet. */
export interface Visit {
  /** Takes the right to it. */
  take(): Admission | Promise<Admission>
  leave(): void
}

export interface DoorParts {
  readonly authenticator: Authenticator
  readonly addresses: ClientAddresses
  /** Connections of a principal, and of the edge. */
  readonly connections: ConnectionLimit
  /** Messages of a principal. */
  readonly rates: RateLimit
  /** Connections from an address, whoever has them. */
  readonly addressConnections: AddressConnections
  /** What comes from an address: messages, requests, upgrades, and credentials that are refused. */
  readonly addressRates: RateLimit
}

/** Requests of one principal that have no answer yet, at this edge. */
const MAX_REQUESTS = 256

export class Door {
  readonly #parts: DoorParts
  readonly #principals: Allowances
  readonly #addresses: Allowances
  #guests = 0

  constructor(parts: DoorParts) {
    this.#parts = parts
    this.#principals = new Allowances(parts.rates)
    this.#addresses = new Allowances(parts.addressRates)
  }

  start(): void {
    this.#parts.connections.start()
    this.#parts.addressConnections.start()
  }

  /** From now on so much may be asked for; `present` are the connections that are there, and stay. */
  adopt({ messages, connections, perAddress = {} }: LimitSettings, present: Iterable<Connection>): void {
    this.#parts.rates.adopt(messages)
    this.#parts.connections.adopt(connections)
    this.#parts.addressRates.adopt(perAddress.messages)
    this.#parts.addressConnections.adopt(perAddress.connections, () => withOrigins(present))
  }

  stop(): void {
    this.#parts.connections.stop()
    this.#parts.addressConnections.stop()
  }

  /** Whoever wants to stay. */
  admit(credentials: Credentials): DoorVerdict {
    // First, because it costs nothing and says nothing about anybody.
    if (this.#parts.connections.isFull) return { ok: false, reason: 'edge_full' }
    const verdict = this.identify(credentials)
    if (!verdict.ok) return verdict
    const { name, origin } = namesOf(verdict.principal)
    if (origin !== undefined) this.#addresses.charge(origin)
    const hasRoom =
      (name === undefined || this.#parts.connections.hasRoomFor(name)) &&
      this.#parts.addressConnections.hasRoomFor(origin)
    return hasRoom ? verdict : { ok: false, reason: 'connection_limit_exceeded' }
  }

  /** Somebody without a credential, at a place where it is shown later. Counted as what comes from its address. */
  admitGuest(credentials: Credentials): DoorVerdict {
    if (this.#guests >= MAX_GUESTS) return { ok: false, reason: 'edge_full' }
    const principal: Principal = { ...GUEST, address: this.#parts.addresses.of(credentials) }
    const { origin } = namesOf(principal)
    return this.#parts.addressConnections.hasRoomFor(origin)
      ? { ok: true, principal }
      : { ok: false, reason: 'connection_limit_exceeded' }
  }

  /** A guest has said who they are, and is counted as that. @throws ServiceError when there is no room for one more */
  introduce(connection: Connection, named: Principal): void {
    const principal: Principal = { ...named, address: connection.principal.address }
    const { name } = namesOf(principal)
    if (name !== undefined && !this.#parts.connections.hasRoomFor(name)) {
      throw new ServiceError('connection_limit_exceeded')
    }
    this.closed(connection)
    connection.adopt(principal, this.allowanceOf(principal))
    this.opened(connection)
  }

  /** Who sends a request; whether it may have one more connection is not asked. Guessing credentials counts too. */
  identify(credentials: Credentials): DoorVerdict {
    const { authenticator } = this.#parts
    const address = this.#parts.addresses.of(credentials)
    // Whoever sits at this machine is not counted where nobody else may come.
    const origin = authenticator.localOnly ? undefined : originOf(address)
    const retryAfterMs = origin === undefined ? undefined : this.#addresses.refusedForMs(origin)
    if (retryAfterMs !== undefined) return { ok: false, reason: 'rate_limit_exceeded', retryAfterMs }
    const verdict = authenticator.authenticate(credentials)
    if (verdict.ok) return { ok: true, principal: { ...verdict.principal, address } }
    if (origin !== undefined) this.#addresses.charge(origin)
    return { ...verdict, address }
  }

  /** Begins a request. @throws ServiceError `busy` when too many of this principal have no answer yet */
  enter(principal: Principal): Visit {
    const { name } = namesOf(principal)
    if (name === undefined) return UNCOUNTED
    const { own, joint } = this.#hold(principal)
    const leave = (): void => {
      own.requests -= 1
      this.#release(principal)
    }
    own.requests += 1
    if (own.requests <= MAX_REQUESTS) return { take: () => joint.take(), leave }
    leave()
    throw new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs })
  }

  /** What a connection of this principal may send; given back with `closed`. */
  allowanceOf(principal: Principal): Pick<Allowance, 'take'> | undefined {
    return namesOf(principal).name === undefined ? undefined : this.#hold(principal).joint
  }

  opened(connection: Connection): void {
    const { name, origin } = namesOf(connection.principal)
    if (connection.principal.isGuest) this.#guests += 1
    this.#parts.connections.opened(connection, name)
    this.#parts.addressConnections.opened(connection, origin)
  }

  closed(connection: Connection): void {
    const { name, origin } = namesOf(connection.principal)
    if (connection.principal.isGuest) this.#guests -= 1
    this.#parts.connections.closed(connection, name)
    this.#parts.addressConnections.closed(connection, origin)
    if (name !== undefined) this.#release(connection.principal)
  }

  #hold(principal: Principal): { readonly own: Shared; readonly joint: Pick<Allowance, 'take'> } {
    const { name = '', origin } = namesOf(principal)
    const own = this.#principals.hold(name)
    const fromThere = origin === undefined ? undefined : this.#addresses.hold(origin)
    return { own, joint: jointAllowance(fromThere?.allowance, own.allowance) }
  }

  #release(principal: Principal): void {
    const { name = '', origin } = namesOf(principal)
    this.#principals.release(name)
    if (origin !== undefined) this.#addresses.release(origin)
  }
}

/** Of somebody at this machine, where nobody else may come. */
const UNCOUNTED: Visit = { take: () => undefined, leave: () => undefined }

/**
 * Under which a principal is counted, and under which its address is; undefined for what is not. A tenant holds no colon
 * and no @, so that no name is another's.
 */
function namesOf({ tenant, subject, unlimited, isGuest, address = '' }: Principal): {
  readonly name: string | undefined
  readonly origin: string | undefined
} {
  if (unlimited) return { name: undefined, origin: undefined }
  return { name: isGuest ? undefined : `${tenant}:${subject}`, origin: originOf(address) }
}

const originOf = (address: string): string | undefined => (address === '' ? undefined : `@${networkOf(address)}`)

function* withOrigins(connections: Iterable<Connection>): Generator<Present> {
  for (const connection of connections) yield [connection, namesOf(connection.principal).origin]
}
