/**
 * Counts the tokens of one service: in Redis, where all workers count together, or in this process where it is alone. Both
 * keep the same promises; what no other part of the product may do is decide by a count that it has read before.
 *
 *   reserve ──▶ held ──▶ settle ──▶ used      what is held comes back by itself when a reservation expires
 */
import type { Limit, Window } from './periods.js'

/** At these shares of a limit, in percent, the count says that it has come there, once in each window. */
export type Thresholds = readonly number[]

export interface CallName {
  readonly tenant: string
  /** `session:turn:step`. A reservation takes the place of an earlier attempt's. */
  readonly place: string
  /** With `place` the step id: what is told twice counts once. */
  readonly attempt: string
}

export interface Reservation extends CallName {
  /** Tokens that the call wants. It gets what is left when that is less, and is refused when that is below `least`. */
  readonly want: number
  readonly least: number
  /** After so long the reservation is void. */
  readonly ttlMs: number
  readonly limits: readonly Limit[]
  /**
   * What the ledger says was used in windows that the meter did not know, by their names; undefined for one of which the
   * ledger could not be asked: it begins at what the meter has, and is missing again next time.
   */
  readonly ledger: ReadonlyMap<string, number | undefined>
}

export interface WindowState extends Window {
  readonly used: number
  /** By reservations, this call's own included. */
  readonly held: number
}

/** A window has come to a share of its limit, for the first time. */
export interface Crossing {
  readonly window: WindowState
  readonly threshold: number
}

export type Reserved =
  | {
      readonly status: 'granted'
      readonly tokens: number
      /** The meter's clock, in ms. The call counts in the windows of this time, whenever it ends. */
      readonly at: number
      readonly windows: readonly WindowState[]
    }
  /** `spent`: only the next window or a higher limit helps. `held`: calls that are under way may give something back. */
  | {
      readonly status: 'spent' | 'held'
      readonly window: WindowState
      readonly crossed: readonly Crossing[]
      readonly at: number
    }
  /** Nothing is known of these windows, or what is known may be too little: ask the ledger, then again. */
  | { readonly status: 'missing'; readonly windows: readonly Window[]; readonly at: number }

export interface Settlement extends CallName {
  readonly tokens: number
  /** Of the reservation. */
  readonly windows: readonly Window[]
  readonly thresholds: Thresholds
}

/** `windows` is undefined when the call was settled before. */
export interface Settled {
  readonly windows: readonly WindowState[] | undefined
  readonly crossed: readonly Crossing[]
}

export interface Meter {
  reserve(reservation: Reservation): Promise<Reserved>
  /** Counts what a call used, also when its reservation is gone, and gives back what it held. */
  settle(settlement: Settlement): Promise<Settled>
}

/** The percent of a limit at which it is spent. */
export const EXCEEDED = 100

/** How long the meter remembers that a call was settled, at least: far longer than anybody repeats it. */
export const SETTLED_SLICE_MS = 600_000
/** A session's count goes after so long without a call; the ledger then tells it. */
export const SESSION_KEEP_MS = 7 * 24 * 3_600_000
/** A window's count stays so long after its end, for calls that began in it. */
export const WINDOW_KEEP_MS = 24 * 3_600_000
/** Longer than any count stays: a reservation that were forgotten before its window would hold its tokens for ever. */
export const RESERVATION_KEEP_MS = 40 * 24 * 3_600_000
/** Reservations that one call clears away when they have expired. */
export const MAX_EXPIRED = 100
