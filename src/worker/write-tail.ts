/**
 * The last writes of this worker that the store has acknowledged, kept for as long as a failover may still forget them.
 * What is not acknowledged is not here: its writer sends it again by itself. Writes stay apart by the claim that they were
 * made under, also when the shard has gone to another: until then nobody else remembers them.
 *
 * Nothing is dropped for its age while the store does not answer: a failover may take much longer than what it loses.
 */
import type { AcceptedCommand, Change, Claim, CommandStream, Handover, TextFlush } from '../bus/bus.js'
import type { Submission } from '../bus/command.js'
import { type NodeId, parseEventId, type SessionId } from '../protocol/ids.js'
import type { WriterLog } from './event-batch.js'

/** A replica that is further behind than this is none to fail over to. */
const KEEP_MS = 5_000
/** Characters of bodies, events, states and texts; about as many bytes. */
const MAX_CHARS = 64 * 1024 * 1024
/** What an entry holds beside its texts, roughly. */
const ENTRY_CHARS = 200
/** How much of the time that is kept goes at once when the characters do not fit. */
const CUT_SHARE = 8

export type TailWrite =
  | { readonly kind: 'commit'; readonly change: Change }
  | { readonly kind: 'flush'; readonly flush: TextFlush }
  | { readonly kind: 'pin'; readonly sessionId: SessionId }
  | { readonly kind: 'unpin'; readonly sessionId: SessionId }

interface Timed<T> {
  readonly value: T
  readonly at: number
  readonly chars: number
}

interface ClaimTail {
  readonly claim: Claim
  readonly commands: Timed<Submission>[]
  readonly writes: Timed<TailWrite>[]
  /** Who wrote here until a moment ago. */
  readonly formers: Timed<NodeId>[]
}

export class WriteTail {
  readonly #claims = new Map<string, ClaimTail>()
  /** Epochs of claims of which the store has lost something for good, by shard. */
  readonly #forsaken = new Map<number, number>()
  #chars = 0
  #dropped = 0

  constructor(
    private readonly clock: () => number = () => performance.now(),
    private readonly maxChars = MAX_CHARS,
  ) {}

  /** Entries that were dropped before their time because there were too many. */
  get dropped(): number {
    return this.#dropped
  }

  /** Notes a command that was accepted as new. */
  accepted(claim: Claim, submission: Submission): void {
    const { body } = submission
    this.#add(this.#of(claim).commands, submission, body.length)
  }

  committed(claim: Claim, change: Change): void {
    const chars = change.events.reduce((sum, body) => sum + body.length, change.state?.length ?? 0)
    this.#add(this.#of(claim).writes, { kind: 'commit', change }, chars)
  }

  flushed(claim: Claim, flush: TextFlush): void {
    this.#add(this.#of(claim).writes, { kind: 'flush', flush }, flush.text.length + flush.json.length)
  }

  /** Notes that a session was pinned under this claim, or that its pin has ended. */
  pinned(claim: Claim, kind: 'pin' | 'unpin', sessionId: SessionId): void {
    this.#add(this.#of(claim).writes, { kind, sessionId }, 0)
  }

  /** Notes that until now another wrote what this claim writes from here on. */
  follows(claim: Claim, former: NodeId): void {
    this.#add(this.#of(claim).formers, former, 0)
  }

  /** Claims on a shard under which something is remembered, in their order. */
  claimsOf(shard: number): readonly Claim[] {
    const claims = [...this.#claims.values()].map(({ claim }) => claim)
    return claims.filter((claim) => claim.shard === shard).sort((a, b) => a.epoch - b.epoch)
  }

  /** Whether anything that was written under this claim is remembered. Who wrote before it is no write. */
  remembers(claim: Claim): boolean {
    const tail = this.#claims.get(keyOf(claim))
    return tail !== undefined && tail.commands.length + tail.writes.length > 0
  }

  /** Accepted commands, in the order of their acceptance. */
  commandsOf(claim: Claim): readonly Submission[] {
    return this.#claims.get(keyOf(claim))?.commands.map((it) => it.value) ?? []
  }

  /** Who may remember what came before the writes of this claim. */
  formersOf(claim: Claim): ReadonlySet<NodeId> {
    return new Set(this.#claims.get(keyOf(claim))?.formers.map((it) => it.value))
  }

  /** Writes by session, each session's in their order. */
  writesOf(claim: Claim): ReadonlyMap<SessionId, readonly TailWrite[]> {
    const bySession = new Map<SessionId, TailWrite[]>()
    for (const { value } of this.#claims.get(keyOf(claim))?.writes ?? []) {
      const sessionId = sessionOf(value)
      const writes = bySession.get(sessionId)
      if (writes) writes.push(value)
      else bySession.set(sessionId, [value])
    }
    return bySession
  }

  /** Number of the last event that the store has acknowledged for a session lately; 0 when none is remembered. */
  lastSeqOf(claim: Claim, sessionId: SessionId): number {
    const last = this.#claims
      .get(keyOf(claim))
      ?.writes.findLast(({ value }) => value.kind === 'commit' && value.change.sessionId === sessionId)?.value
    return last?.kind === 'commit' ? last.change.expectedSeq + last.change.events.length : 0
  }

  /** The store has just been seen to be the one that was written to under these claims. */
  confirm(isKept: (claim: Claim) => boolean): void {
    const before = this.clock() - KEEP_MS
    for (const tail of this.#claims.values()) if (isKept(tail.claim)) this.#cut(tail, before)
  }

  /** What was written under this claim has no place in the store any more. */
  forget(claim: Claim): void {
    this.#forsaken.set(claim.shard, claim.epoch)
    const tail = this.#claims.get(keyOf(claim))
    if (tail) this.#cut(tail, Number.POSITIVE_INFINITY)
  }

  /** Whether what this worker wrote below an epoch was given up: Postgres may have some of it, and the store has not. */
  forsook(shard: number, below: number): boolean {
    const epoch = this.#forsaken.get(shard)
    return epoch !== undefined && epoch < below
  }

  #of(claim: Claim): ClaimTail {
    const key = keyOf(claim)
    const present = this.#claims.get(key)
    if (present) return present
    const tail: ClaimTail = { claim, commands: [], writes: [], formers: [] }
    this.#claims.set(key, tail)
    return tail
  }

  #add<T>(list: Timed<T>[], value: T, textChars: number): void {
    const chars = textChars + ENTRY_CHARS
    list.push({ value, at: this.clock(), chars })
    this.#chars += chars
    if (this.#chars > this.maxChars) this.#makeRoom()
  }

  /** Drops the oldest of all shards, a share of the time that is kept after the other. */
  #makeRoom(): void {
    const now = this.clock()
    let before = Math.min(now, ...[...this.#claims.values()].flatMap(firstTimes))
    const step = Math.max(1, (now - before) / CUT_SHARE)
    while (this.#chars > this.maxChars && this.#claims.size > 0) {
      before += step
      for (const tail of this.#claims.values()) this.#dropped += this.#cut(tail, before)
    }
  }

  /** Returns how many entries went. */
  #cut({ claim, commands, writes, formers }: ClaimTail, before: number): number {
    const gone = [...taken(commands, before), ...taken(writes, before), ...taken(formers, before)]
    for (const { chars } of gone) this.#chars -= chars
    if (commands.length + writes.length + formers.length === 0) this.#claims.delete(keyOf(claim))
    return gone.length
  }
}

const keyOf = ({ shard, epoch }: Claim): string => `${shard} ${epoch}`

function sessionOf(write: TailWrite): SessionId {
  if (write.kind === 'commit') return write.change.sessionId
  return write.kind === 'flush' ? write.flush.sessionId : write.sessionId
}

const firstTimes = ({ commands, writes, formers }: ClaimTail): number[] =>
  [commands[0]?.at, writes[0]?.at, formers[0]?.at].filter((it) => it !== undefined)

/** Removes what is older from the front. */
function taken<T>(list: Timed<T>[], before: number): Timed<T>[] {
  const kept = list.findIndex(({ at }) => at >= before)
  return list.splice(0, kept === -1 ? list.length : kept)
}

/** The log, with everything that it acknowledges noted in the tail. */
export const tailedLog = (log: WriterLog, tail: WriteTail): WriterLog => ({
  commit: async (claim, change) => {
    const reply = await log.commit(claim, change)
    if (reply.status === 'ok') tail.committed(claim, change)
    return reply
  },
  flush: async (claim, flush) => {
    const reply = await log.flush(claim, flush)
    if (reply.status === 'ok') tail.flushed(claim, flush)
    return reply
  },
})

export type TailedCommands = Pick<CommandStream, 'accept' | 'hydrate'>

/** The commands of shards, with everything that is accepted noted in the tail. */
export function tailedCommands(commands: TailedCommands, tail: WriteTail): TailedCommands {
  const note = (claim: Claim, accepted: readonly AcceptedCommand[]): void => {
    for (const { submission, acceptance } of accepted) {
      if (acceptance.status === 'new') tail.accepted(claim, submission)
    }
  }
  return {
    accept: async (claim, cursor) => {
      const reply = await commands.accept(claim, cursor)
      if (reply.status === 'ok') note(claim, reply.commands)
      return reply
    },
    hydrate: async (claim, sessionId, found) => {
      const reply = await commands.hydrate(claim, sessionId, found)
      if (reply.status === 'ok') note(claim, reply.commands)
      return reply
    },
  }
}

/** Pins, with those that begin and end noted in the tail. */
export const tailedHandover = (handover: Handover, tail: WriteTail): Handover => ({
  pin: async (claim, sessionIds) => {
    const reply = await handover.pin(claim, sessionIds)
    if (reply.status === 'ok') for (const id of reply.pinned) tail.pinned(claim, 'pin', id)
    return reply
  },
  unpin: async (claim, sessionIds) => {
    const unpinned = await handover.unpin(claim, sessionIds)
    for (const id of unpinned) tail.pinned(claim, 'unpin', id)
    return unpinned
  },
  pins: (shard) => handover.pins(shard),
})

export const seqOf = (eventId: string): number => parseEventId(eventId)?.seq ?? 0
