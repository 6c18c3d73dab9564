/**
 * What the generator's process is asked to do, and what it says back: the words between it and its starter.
 */
import type { DialectName } from './dialect.js'
import type { LatencySummary } from './histogram.js'
import type { Counts } from './ledger.js'
import type { Target } from './socket.js'

export interface Plan {
  readonly targets: readonly Target[]
  readonly dialect: DialectName
  /** One for each principal; connections take them in turn. None for servers that ask for none. */
  readonly tokens: readonly string[]
  /** Each holds one session. */
  readonly connections: number
  /** Requests a second over all connections; undefined: each connection sends when it was answered (closed loop). */
  readonly rate?: number
  readonly warmupSeconds: number
  readonly seconds: number
}

export interface Report {
  readonly connections: number
  /** Undefined in a closed loop. */
  readonly offeredPerSecond?: number
  /** Answers within the measured time. */
  readonly roundTrips: number
  readonly seconds: number
  readonly roundTripsPerSecond: number
  /**
   * In ms, of all requests that were due within the measured time, from the time they were due. Those that were never
   * answered, or never sent, count with the time that they had waited when the run ended.
   */
  readonly latency: LatencySummary
  /** Of the whole run, warm-up and drain included. */
  readonly counts: Counts
  readonly unanswered: number
  /** Open loop: requests that were due but were never sent, because too many had no answer. */
  readonly notSent: number
  /** Sum over all sessions: what the log must hold in the end. */
  readonly events: number
  readonly lostConnections: readonly string[]
  /** Empty when every request was answered once and in order. */
  readonly faults: readonly string[]
}

/** From the generator to its starter, in this order; `failed` may take the place of any. */
export type Progress =
  | { readonly phase: 'connected' }
  | { readonly phase: 'measuring' }
  | { readonly phase: 'measured' }
  | { readonly phase: 'done'; readonly report: Report }
  | { readonly phase: 'failed'; readonly reason: string }
