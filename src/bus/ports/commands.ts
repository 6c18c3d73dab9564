/**
 * Commands on their way to a shard's owner: submitted by edges, accepted once, in order.
 */
import type { NodeId, SessionId } from '../../protocol/ids.js'
import type { Submission } from '../command.js'
import type { Whereabouts } from '../dormant.js'
import type { Claim, Refused } from './ownership.js'

export type Submitted = { readonly status: 'ok' } | { readonly status: 'busy'; readonly retryAfterMs: number }

/**
 * What became of one command: `new` it waits in the inbox · `dup` its id was accepted before, `detail` is the event that
 * ended it or '' · `busy` too much waits, nothing changed · `final` the session has ended, `detail` is its status ·
 * `unknown` no such session · `cold` the session is not here: the command waits until Postgres has been asked, and another
 * answer follows · `unavailable` Postgres did not answer in time.
 */
export interface Acceptance {
  readonly sessionId: SessionId
  readonly commandId: string
  readonly status: 'new' | 'dup' | 'busy' | 'final' | 'unknown' | 'cold' | 'unavailable'
  readonly detail: string
}

/** A command that was taken out of its shard's stream, and what became of it. */
export interface AcceptedCommand {
  readonly submission: Submission
  readonly acceptance: Acceptance
}

export interface Accepted {
  readonly status: 'ok'
  /** In the order of their submission. */
  readonly commands: readonly AcceptedCommand[]
  /** More may wait: the caller accepts again. */
  readonly more: boolean
  /** Where the shard's cursor stands now: the next call names it. */
  readonly cursor: string
  /** An earlier step took commands whose reply never came: the inboxes hold what this owner was not told of. */
  readonly skipped: boolean
}

/** Tells which of the added shards have commands waiting. A call that comes twice, or for nothing, is no mistake. */
export interface CommandBell {
  /** Starts watching a shard, and tells of it once: something may wait there already. */
  add(shard: number): void
  /** Stops watching a shard: it is not told of after this call returns. */
  remove(shard: number): void
  stop(): Promise<void>
}

export interface CommandStream {
  /** Appends a command, or refuses it above the shard's bounds of waiting commands (count and bytes). */
  submit(submission: Submission): Promise<Submitted>
  /**
   * Watches the shards of `owner`, which must have claimed them under this name. `onLost` tells that the connection was
   * lost and is back: the store may have changed meanwhile. `placeOf` says where the owner knows a shard to stand, as
   * "epoch cursor": a shard that stands elsewhere is told of too.
   */
  openBell(
    owner: NodeId,
    onWaiting: (shard: number) => void,
    onLost: () => void,
    placeOf?: (shard: number) => string | undefined,
  ): CommandBell
  /**
   * Takes the commands that wait in a shard's stream, at most a batch: moves them into the inboxes of their sessions and
   * the shard's cursor behind them, in one step, and tells the submitting edges. A fresh spawn creates its session and
   * subscribes its edge. `cursor` is where the owner last knew it: nobody else moves it, so a store that has it further
   * back has lost what was accepted since, and answers `rollback`.
   */
  accept(claim: Claim, cursor?: string): Promise<Accepted | Refused>
  /**
   * Whether this process lets work in. While it does not, `accept` answers `busy` to what would wait in an inbox; what
   * controls a session, and the spawn of a new one, pass.
   */
  admitWork(admitted: boolean): void
  /**
   * Ends the waiting of a session's cold commands: creates the session from what Postgres knows, unless it is here by now,
   * and decides about the commands in their order, in one step. Whoever asked for the session is told that it is here.
   * Subscribes nobody, except the edge of a spawn that was never accepted. May be repeated.
   */
  hydrate(claim: Claim, sessionId: SessionId, found: Whereabouts): Promise<Hydrated | Refused>
}

/** The cold commands of a session, decided, in the order of their submission. */
export interface Hydrated {
  readonly status: 'ok'
  readonly commands: readonly AcceptedCommand[]
}
