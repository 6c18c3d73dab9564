/**
 * Connections by the address that they come from, whoever has them. They are counted from the first limit on: as long as
 * nobody wants one, an address costs nothing here and nothing in Redis. Once counted, they are until the edge stops, so that
 * no other edge goes by a count that nobody keeps any more.
 */
import type { ConnectionLimit, Counted } from './connection-limit.js'
import type { ConnectionLimitSettings } from './settings.js'

/** A connection that is there, and what it is counted under. */
export type Present = readonly [connection: Counted, origin: string | undefined]

export class AddressConnections {
  readonly #make: (settings: ConnectionLimitSettings) => ConnectionLimit
  #limit: ConnectionLimit | undefined
  #isStarted = false

  constructor(max: number | undefined, make: (settings: ConnectionLimitSettings) => ConnectionLimit) {
    this.#make = make
    if (max !== undefined) this.#limit = make(settingsOf(max))
  }

  start(): void {
    this.#isStarted = true
    this.#limit?.start()
  }

  stop(): void {
    this.#limit?.stop()
  }

  /** From now on each address may have so many; those that are there stay, and count. */
  adopt(max: number | undefined, present: () => Iterable<Present>): void {
    if (this.#limit) this.#limit.adopt(settingsOf(max))
    else if (max !== undefined) this.#begin(max, present())
  }

  hasRoomFor(origin: string | undefined): boolean {
    return origin === undefined || !this.#limit || this.#limit.hasRoomFor(origin)
  }

  opened(connection: Counted, origin: string | undefined): void {
    this.#limit?.opened(connection, origin)
  }

  closed(connection: Counted, origin: string | undefined): void {
    this.#limit?.closed(connection, origin)
  }

  #begin(max: number, present: Iterable<Present>): void {
    const limit = this.#make(settingsOf(max))
    this.#limit = limit
    for (const [connection, origin] of present) limit.include(connection, origin)
    if (this.#isStarted) limit.start()
  }
}

/** The edge as a whole is counted elsewhere. */
const settingsOf = (max = Number.POSITIVE_INFINITY): ConnectionLimitSettings => ({
  perPrincipal: max,
  perEdge: Number.POSITIVE_INFINITY,
})
