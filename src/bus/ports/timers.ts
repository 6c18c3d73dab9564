/**
 * What must happen to a session later, whoever owns it by then.
 */
import type { SessionId } from '../../protocol/ids.js'
import type { Claim, Refused } from './ownership.js'

/**
 * Timers that outlive their owner. One that has gone off stays, and is told again, until it is set anew or cleared: clear it
 * when what it was for is recorded.
 */
export interface Timers {
  /** To go off `inMs` from now, by the store's clock; in place of an earlier one of the same name. */
  set(claim: Claim, timer: Timer, inMs: number): Promise<{ readonly status: 'ok' } | Refused>
  clear(claim: Claim, name: TimerName): Promise<{ readonly status: 'ok' } | Refused>
  /**
   * Of these shards, those of which there is something to say: a bounded number of timers that have gone off, the longest
   * overdue first, or a refusal.
   */
  due(claims: readonly Claim[]): Promise<readonly ShardTimers[]>
}

export interface Timer extends TimerName {
  /** What whoever set it wants to know when it goes off. */
  readonly note: string
}

/** A session has one timer of each name; neither holds a space. */
export interface TimerName {
  readonly sessionId: SessionId
  readonly name: string
}

export interface ShardTimers {
  readonly claim: Claim
  readonly reply: DueTimers | Refused
}

export interface DueTimers {
  readonly status: 'ok'
  readonly timers: readonly Timer[]
}
