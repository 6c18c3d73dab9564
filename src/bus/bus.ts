/**
 * The data plane: three interfaces and their promises. Redis implements them for a cluster, `memory-bus` for one
 * process; one contract suite holds both to the same behaviour.
 *
 *   CommandStream   edge → worker   commands of a shard, in order, accepted once; a bell tells its owner
 *   SessionLog      worker          events and state of a session, written only by the shard's owner
 *   EdgeStream      worker → edge   what one edge's clients must see
 *
 * Every write by a worker carries its `Claim`; a write under an epoch that is not the stored one changes nothing.
 */
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { Session, SessionOptions, SessionStatus } from '../protocol/session.js'
import type { Outbox, Submission } from './command.js'
import type { DormantSession, Whereabouts } from './dormant.js'

/** A worker's right to write a shard, granted by Postgres. */
export interface Claim {
  readonly shard: number
  readonly owner: NodeId
  readonly epoch: number
}

/** Another owner has been installed: stop at once. */
export interface Fenced {
  readonly status: 'fenced'
  readonly epoch: number
}

/** The store has lost writes (its epoch is lower than ours): nobody writes before re-reading the assignments. */
export interface RolledBack {
  readonly status: 'rollback'
  readonly epoch: number
}

export type Refused = Fenced | RolledBack

/** The store is there and refused a single item: what it holds under a key is not what we write. Trying on changes nothing. */
export class StoreRefusal extends Error {
  constructor(words: string) {
    super(`the store refused: ${words}`)
    this.name = 'StoreRefusal'
  }
}

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

/** Text of the message being streamed. */
export interface Part {
  readonly messageId: string
  readonly text: string
}

/** The small state that is saved with every step, ≤ 4 KB as JSON: long task texts are cut for it. */
export interface SmallState {
  readonly session: Session
  /** The subject that spawned the session. */
  readonly owner?: string
  /** What it was spawned with. */
  readonly options?: SessionOptions
  /** Number of the last turn that began. */
  readonly turn: number
  /** Ids of waiting commands that were cancelled: they are passed over when their turn comes. */
  readonly cancelled: readonly string[]
}

/** What a status query needs of a session. `state` is the JSON of a `SmallState`, or '' before the first commit. */
export interface SessionHead {
  readonly sessionId: SessionId
  readonly tenant: string
  readonly status: SessionStatus
  /** Id of the last event, `0-0` before the first. */
  readonly head: string
  readonly state: string
}

/** A session as the store holds it, whole. */
export interface SessionRecord extends SessionHead {
  /** Events up to this one are only in Postgres. */
  readonly floor: string
  readonly part: Part | undefined
  /** Bodies of accepted commands that wait or run, the running one first. */
  readonly inbox: readonly string[]
  readonly control: readonly string[]
  /** Id of the last commit, '' before the first. */
  readonly lastCommit: string
}

/** One step of a session: events, state and the commands that they end, all or nothing. */
export interface Change {
  readonly sessionId: SessionId
  /** Chosen by the caller, without spaces; sent again after a lost reply it changes nothing and answers `ok`. */
  readonly commitId: string
  /** The head that the caller has seen. */
  readonly expectedSeq: number
  /**
   * Id of the commit before this one, '' for the first of a session, left out when the caller does not know it. A store
   * that has another one has lost it: the head alone does not show that where a commit adds no event.
   */
  readonly after?: string
  /** Epoch that the events carry, where it is not the claim's: they are put back as a former owner wrote them. */
  readonly eventEpoch?: number
  /** JSON of each event, with its `eventId` = claim's epoch and expectedSeq + 1, + 2, … */
  readonly events: readonly string[]
  readonly status: SessionStatus
  /** New state, or undefined to leave it. */
  readonly state: string | undefined
  /** How many commands leave the head of the inbox and of the control list. */
  readonly popInbox: number
  readonly popControl: number
  /** Commands that ended here: id → id of the event that ended it. */
  readonly ended: readonly { readonly commandId: string; readonly eventId: string }[]
  /** True when the streamed message is complete, so that its part is dropped. */
  readonly clearPart: boolean
}

/**
 * `head`: the head stands at `seq`, which is not what the caller expects. Above it, somebody else has written: reload or
 * stop. Not above it, or `corrupt` (fewer commands wait than the commit ends): the store has lost writes.
 */
export type Committed =
  | { readonly status: 'ok' | 'corrupt' }
  | Refused
  | { readonly status: 'head'; readonly seq: number }

export interface TextFlush {
  readonly sessionId: SessionId
  readonly messageId: string
  /** UTF-8 bytes of the message before this text. */
  readonly offset: number
  readonly text: string
  /** Sequence number of the session's head while this text is streamed. */
  readonly headSeq: number
  /** The `stream_chunk` JSON for clients. */
  readonly json: string
}

/** `gap`: the stored text is not as long as `offset`, or the head is below `headSeq`: writes were lost. A repeated flush answers `ok`. */
export type Flushed = { readonly status: 'ok' } | Refused | { readonly status: 'gap'; readonly bytes: number }

export interface StoredEvent {
  readonly eventId: string
  readonly body: string
}

/**
 * `ok`: subscribed, and `events` is exactly what follows the position · `more`: not subscribed yet, resume again from
 * the last of `events` · `below`: the position is not in the log; up to `floor` Postgres may know it · `unknown`.
 */
export type Resumed =
  | {
      readonly status: 'ok'
      readonly events: readonly StoredEvent[]
      readonly head: string
      readonly part: Part | undefined
    }
  | { readonly status: 'more'; readonly events: readonly StoredEvent[] }
  | { readonly status: 'below'; readonly floor: string; readonly head: string }
  | { readonly status: 'unknown' }

/** What a new owner finds in a shard. */
export interface Claimed {
  readonly status: 'ok'
  /** Sessions with an unfinished command: the work list of a takeover. */
  readonly active: readonly SessionId[]
  /** Sessions with events that Postgres may not have. */
  readonly unprojected: readonly SessionId[]
  /** Sessions that a former owner still writes: not to be taken up before their pin has ended. */
  readonly pins: readonly Pin[]
  /** Sessions that are not here and for which commands wait. */
  readonly cold: readonly ColdSession[]
  /** Where the shard's cursor stands: `accept` names it. */
  readonly cursor: string
  /** The store may have lost writes since the last owner had everything in it (see `StoreFailover`). */
  readonly storeChanged: boolean
}

/** A session whose turn outlives its worker's ownership of the shard: only `node`, under `epoch`, writes it. */
export interface Pin {
  readonly sessionId: SessionId
  readonly node: NodeId
  readonly epoch: number
}

/**
 * What lets a busy session stay behind when its shard moves. In one process nothing moves, and there is no such thing.
 *
 *   owner pins ─▶ the shard goes to another ─▶ turn ends ─▶ holder unpins      holder dead ─▶ the new owner unpins
 */
export interface Handover {
  /** Pins sessions to the claim's owner. Returns those that are; one that another node holds, or that is gone, is not. */
  pin(
    claim: Claim,
    sessionIds: readonly SessionId[],
  ): Promise<{ readonly status: 'ok'; readonly pinned: readonly SessionId[] } | Refused>
  /** Ends pins, by their holder or by the shard's owner. Returns the sessions that are not pinned any more. */
  unpin(claim: Claim, sessionIds: readonly SessionId[]): Promise<readonly SessionId[]>
  /** All pins of a shard, and its epoch: one that is not the caller's tells that pins may have been lost. */
  pins(shard: number): Promise<{ readonly epoch: number; readonly pins: readonly Pin[] }>
}

export interface ColdSession {
  readonly sessionId: SessionId
  /** How long the first of its commands has waited. */
  readonly waitedMs: number
}

/**
 * Whether a session may leave the store: `idle` it may, and this is what must be kept of it · `absent` it is not here ·
 * `busy` commands wait or a message is streamed · `watched` some edge shows it · `unprojected` Postgres may not have all
 * of its events.
 */
export type Rest =
  | { readonly status: 'idle'; readonly session: DormantSession }
  | { readonly status: 'absent' | 'busy' | 'watched' | 'unprojected' }

/** `changed`: it is not as it was when it was read. */
export type Hibernated = { readonly status: 'ok' } | { readonly status: Exclude<Rest['status'], 'idle'> | 'changed' }

export interface SessionLog {
  /** Installs the claim's epoch. Repeating it is allowed. */
  claim(claim: Claim): Promise<Claimed | Fenced>
  release(claim: Claim): Promise<void>
  commit(claim: Claim, change: Change): Promise<Committed>
  flush(claim: Claim, flush: TextFlush): Promise<Flushed>
  /** Answers a status query; undefined when the store does not hold the session. */
  peek(sessionId: SessionId): Promise<SessionHead | undefined>
  /** Reads a session whole; undefined when the store does not hold it. */
  load(sessionId: SessionId): Promise<SessionRecord | undefined>
  /** Events behind `after`, oldest first, at most `limit`. Those up to the floor are missing: Postgres has them. */
  events(sessionId: SessionId, after: string, limit: number): Promise<readonly StoredEvent[]>
  /**
   * Subscribes an edge and reads what follows `after` in one step, so that nothing falls between. `after` is an event
   * id, or `now` for nothing of the past but the part being streamed.
   */
  resume(sessionId: SessionId, outbox: Outbox, after: string, limit: number): Promise<Resumed>
  unsubscribe(sessionId: SessionId, outbox: Outbox): Promise<void>
  /** Tells the store what Postgres holds; drops all but the last `keep` events of each session's log. */
  trim(claim: Claim, projected: readonly Projected[]): Promise<void>
  /** Reads what must be kept of a session at rest. Edges that are gone do not count as watching, and are dropped. */
  rest(claim: Claim, sessionId: SessionId): Promise<Rest | Refused>
  /** Drops everything of a session that is still exactly as it was read. */
  hibernate(claim: Claim, session: DormantSession): Promise<Hibernated | Refused>
  /** Unsubscribes edges that are gone. Writing to a session does so too; this is for one that has nothing to say. */
  dropGoneEdges(claim: Claim, sessionId: SessionId): Promise<void>
}

/** A session has one timer of each name; neither holds a space. */
export interface TimerName {
  readonly sessionId: SessionId
  readonly name: string
}

export interface Timer extends TimerName {
  /** What whoever set it wants to know when it goes off. */
  readonly note: string
}

export interface DueTimers {
  readonly status: 'ok'
  readonly timers: readonly Timer[]
}

export interface ShardTimers {
  readonly claim: Claim
  readonly reply: DueTimers | Refused
}

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

export interface Projected {
  readonly sessionId: SessionId
  readonly seq: number
  readonly keep: number
}

/** What an edge reads: acceptances of what it submitted, events and text of sessions that its clients watch. */
export type OutEntry =
  | { readonly kind: 'acceptances'; readonly acceptances: readonly Acceptance[] }
  | { readonly kind: 'events'; readonly sessionId: SessionId; readonly events: readonly StoredEvent[] }
  /** The owner has looked for a session for which this edge asked: a resume finds it, if it may be found. */
  | { readonly kind: 'awake'; readonly sessionId: SessionId }
  | {
      readonly kind: 'text'
      readonly sessionId: SessionId
      readonly messageId: string
      readonly offset: number
      /** UTF-8 bytes of this piece. */
      readonly bytes: number
      readonly headSeq: number
      readonly json: string
    }

export interface EdgeOutbox {
  /** Its present name; `reopened` announces a new one. */
  readonly name: Outbox
  /** Monotonic time at which the store was last seen to have everything that it had put in here. */
  readonly intactAt: number
  stop(): Promise<void>
}

export interface EdgeHandlers {
  /** Entries in order. The next batch waits until this returns. */
  readonly onEntries: (entries: readonly OutEntry[]) => void
  /**
   * Entries may have been lost (stalled too long, connection or store lost): the outbox has a new name, and every
   * subscription must resume from what its client last got; unanswered submissions must be sent again.
   */
  readonly onReopened: (name: Outbox) => void
}

export interface EdgeStream {
  open(edge: NodeId, handlers: EdgeHandlers): Promise<EdgeOutbox>
}

/** Tells when the store of some shards has become another one, which may lack the last writes. */
export interface StoreWatch {
  /** Looks at once. Resolves when the store has answered for every shard, after `onChanged` where it is another. */
  check(): Promise<void>
  stop(): void
}

export interface StoreWatchHandlers {
  /** Called with each shard's lane that is served by another store than before. */
  readonly onChanged: (isAffected: (shard: number) => boolean) => void
  /** The store is still the one that it was: what it answered is in it. */
  readonly onSame: (isAffected: (shard: number) => boolean) => void
}

/**
 * For a store that fails over and then may lack its last writes: how its owner notices, and how it puts back what it
 * remembers. What it has lost is the end of what was written to a lane, never something in between.
 */
export interface StoreFailover {
  watch(handlers: StoreWatchHandlers): StoreWatch
  /** Refuses new commands of a shard as `busy` until it is claimed, for some seconds at most; its owner says it again. */
  pause(claim: Claim): Promise<void>
  /**
   * Puts accepted commands back that the store does not know, behind what waits, in the order given, which is that of
   * their acceptance; creates the sessions of spawns. Bounds of what may wait do not count: they were accepted.
   */
  restore(claim: Claim, commands: readonly Submission[]): Promise<{ readonly status: 'ok' } | Refused>
  /** Installs a claim as `SessionLog.claim` does, unless the store is another than the last owner had everything in. */
  claimSame(claim: Claim): Promise<Claimed | Fenced | undefined>
  /** Notes that the owner has everything in this store: the next owner need not doubt it. */
  settle(claim: Claim): Promise<{ readonly status: 'ok' } | Refused>
}

/** The three together, as the composition root hands them out. */
export interface Bus {
  readonly commands: CommandStream
  readonly log: SessionLog
  readonly outboxes: EdgeStream
  readonly timers: Timers
  /** Undefined in one process. */
  readonly handover?: Handover
  /** Undefined for a store that loses nothing it has answered. */
  readonly failover?: StoreFailover
  /** Whether the store answers: for readiness. */
  ping(): Promise<void>
  stop(): Promise<void>
}

export { LIMITS } from './limits.js'
