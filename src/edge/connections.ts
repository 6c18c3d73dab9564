/**
 * All clients of this edge: their heartbeat, the end of their rights, the end of those that read nothing, and the drain.
 */
import { errorReply } from '../protocol/codec.js'
import { ServiceError } from '../protocol/errors.js'
import type { EdgeMetrics } from '../telemetry/metrics.js'
import type { Principal } from './auth.js'
import type { Connection } from './connection.js'

const SWEEP_MS = 1_000
/** The longest that a timer can wait; a later end is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1
const CLOSE_TOKEN_EXPIRED = 4001
const CLOSE_POLICY = 1008
/** "Service restart": clients come back by themselves. */
const CLOSE_RESTART = 1012
/** Clients are sent away in this many waves, so that the other edges do not meet all of them at once. */
const DRAIN_WAVES = 20
const MIN_WAVE_SIZE = 100
const MAX_WAVE_PAUSE_MS = 250
/** Clients of one wave spread their return over this time. */
const RETURN_SPREAD_MS = 1_000

interface Member {
  /** The second of the heartbeat interval in which this client is pinged: pings spread evenly. */
  readonly beat: number
  expiry: NodeJS.Timeout | undefined
}

export class Connections {
  readonly #members = new Map<Connection, Member>()
  readonly #metrics: Pick<EdgeMetrics, 'connections'>
  readonly #beats: number
  #tick = 0
  #joined = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(heartbeatIntervalMs: number, metrics: Pick<EdgeMetrics, 'connections'>) {
    this.#beats = Math.max(1, Math.round(heartbeatIntervalMs / SWEEP_MS))
    this.#metrics = metrics
  }

  get size(): number {
    return this.#members.size
  }

  all(): Iterable<Connection> {
    return this.#members.keys()
  }

  start(): void {
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
  }

  stop(): void {
    clearInterval(this.#sweeper)
    for (const { expiry } of this.#members.values()) clearTimeout(expiry)
  }

  add(connection: Connection): void {
    this.#joined += 1
    this.#members.set(connection, { beat: this.#joined % this.#beats, expiry: undefined })
    this.#metrics.connections(1, connection.principal.method)
    this.watchExpiry(connection)
  }

  remove(connection: Connection): void {
    const member = this.#members.get(connection)
    if (!member) return
    clearTimeout(member.expiry)
    this.#members.delete(connection)
    this.#metrics.connections(-1)
  }

  /** Ends the connection when its principal's right ends; called again after a renewal. */
  watchExpiry(connection: Connection): void {
    const member = this.#members.get(connection)
    const { expiresAt } = connection.principal
    if (!member || expiresAt === undefined) return
    clearTimeout(member.expiry)
    const leftMs = expiresAt - Date.now()
    const wait = Math.min(Math.max(leftMs, 0), MAX_TIMER_MS)
    member.expiry = setTimeout(() => {
      if (Date.now() < expiresAt) this.watchExpiry(connection)
      else expire(connection)
    }, wait)
  }

  /** Ends those whose right is gone; when they come again, they hear why. */
  endUnless(isGood: (principal: Principal) => boolean): void {
    for (const connection of [...this.#members.keys()]) if (!isGood(connection.principal)) revoke(connection)
  }

  /** Sends every client away within about `withinMs`; they resume at another edge. */
  async drain(withinMs: number): Promise<void> {
    const all = [...this.#members.keys()]
    const size = Math.max(MIN_WAVE_SIZE, Math.ceil(all.length / DRAIN_WAVES))
    const pauseMs = Math.min(MAX_WAVE_PAUSE_MS, withinMs / (DRAIN_WAVES * 2))
    for (let first = 0; first < all.length; first += size) {
      if (first > 0) await sleep(pauseMs)
      for (const connection of all.slice(first, first + size)) sendAway(connection)
    }
    const deadline = performance.now() + withinMs / 2
    while (this.#members.size > 0 && performance.now() < deadline) await sleep(Math.min(pauseMs, 20))
  }

  #sweep(): void {
    this.#tick = (this.#tick + 1) % this.#beats
    const now = performance.now()
    for (const [connection, { beat }] of this.#members) {
      if (connection.isStalled(now)) connection.terminate()
      else if (beat === this.#tick) connection.ping()
    }
  }
}

function expire(connection: Connection): void {
  connection.push(JSON.stringify(errorReply(new ServiceError('token_expired'))))
  connection.end(CLOSE_TOKEN_EXPIRED, 'Token expired')
}

function revoke(connection: Connection): void {
  const error = new ServiceError(
    connection.principal.method === 'api-key' ? 'api_key_invalid' : 'jwt_signature_invalid',
  )
  connection.push(JSON.stringify(errorReply(error)))
  connection.end(CLOSE_POLICY, error.code)
}

/** The hint goes ahead in a frame of its own; the reason stays the text that clients know. */
function sendAway(connection: Connection): void {
  const retryAfterMs = Math.round(Math.random() * RETURN_SPREAD_MS)
  const error = new ServiceError('shutting_down', { retryAfterMs })
  connection.push(JSON.stringify(errorReply(error)))
  connection.end(CLOSE_RESTART, error.message)
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
