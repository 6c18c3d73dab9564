/**
 * The last writes of this worker that the store has acknowledged, kept for as long as a failover may still forget them.
 * What is not acknowledged is not here: its writer sends it again by itself.
 *
 * Nothing is dropped for its age while the store does not answer: a failover may take much longer than what it loses.
 */
import type { AcceptedCommand, Change, Claim, CommandStream, TextFlush } from '../bus/bus.js'
import type { Submission } from '../bus/command.js'
import { parseEventId, type SessionId } from '../protocol/ids.js'
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

interface Timed<T> {
  readonly value: T
  readonly at: number
  readonly chars: number
}

interface ShardTail {
  commands: Timed<Submission>[]
  writes: Timed<TailWrite>[]
}

export class WriteTail {
  readonly #shards = new Map<number, ShardTail>()
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
  accepted(shard: number, submission: Submission): void {
    const { body } = submission
    this.#add(this.#of(shard).commands, submission, body.length)
  }

  committed({ shard }: Claim, change: Change): void {
    const chars = change.events.reduce((sum, body) => sum + body.length, change.state?.length ?? 0)
    this.#add(this.#of(shard).writes, { kind: 'commit', change }, chars)
  }

  flushed({ shard }: Claim, flush: TextFlush): void {
    this.#add(this.#of(shard).writes, { kind: 'flush', flush }, flush.text.length + flush.json.length)
  }

  /** Accepted commands of a shard, in the order of their acceptance. */
  commandsOf(shard: number): readonly Submission[] {
    return this.#shards.get(shard)?.commands.map((it) => it.value) ?? []
  }

  /** Writes of a shard by session, each session's in their order. */
  writesOf(shard: number): ReadonlyMap<SessionId, readonly TailWrite[]> {
    const bySession = new Map<SessionId, TailWrite[]>()
    for (const { value } of this.#shards.get(shard)?.writes ?? []) {
      const { sessionId } = value.kind === 'commit' ? value.change : value.flush
      const writes = bySession.get(sessionId)
      if (writes) writes.push(value)
      else bySession.set(sessionId, [value])
    }
    return bySession
  }

  /** Number of the last event that the store has acknowledged for a session lately; 0 when none is remembered. */
  lastSeqOf(shard: number, sessionId: SessionId): number {
    const last = this.#shards
      .get(shard)
      ?.writes.findLast(({ value }) => value.kind === 'commit' && value.change.sessionId === sessionId)?.value
    return last?.kind === 'commit' ? last.change.expectedSeq + last.change.events.length : 0
  }

  /** The store has just been seen to be the one that these shards were written to. */
  confirm(isAffected: (shard: number) => boolean): void {
    const before = this.clock() - KEEP_MS
    for (const [shard, tail] of this.#shards) if (isAffected(shard)) this.#cut(shard, tail, before)
  }

  /** The shard is somebody else's now. */
  forget(shard: number): void {
    const tail = this.#shards.get(shard)
    if (tail) this.#cut(shard, tail, Number.POSITIVE_INFINITY)
  }

  #of(shard: number): ShardTail {
    const present = this.#shards.get(shard)
    if (present) return present
    const tail = { commands: [], writes: [] }
    this.#shards.set(shard, tail)
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
    let before = Math.min(now, ...[...this.#shards.values()].flatMap(firstTimes))
    const step = Math.max(1, (now - before) / CUT_SHARE)
    while (this.#chars > this.maxChars && this.#shards.size > 0) {
      before += step
      for (const [shard, tail] of this.#shards) this.#dropped += this.#cut(shard, tail, before)
    }
  }

  /** Returns how many entries went. */
  #cut(shard: number, tail: ShardTail, before: number): number {
    const gone = [...taken(tail.commands, before), ...taken(tail.writes, before)]
    for (const { chars } of gone) this.#chars -= chars
    if (tail.commands.length + tail.writes.length === 0) this.#shards.delete(shard)
    return gone.length
  }
}

const firstTimes = ({ commands, writes }: ShardTail): number[] =>
  [commands[0]?.at, writes[0]?.at].filter((it) => it !== undefined)

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

type Commands = Pick<CommandStream, 'accept' | 'hydrate'>

/** The commands of shards, with everything that is accepted noted in the tail. */
export function tailedCommands(commands: Commands, tail: WriteTail): Commands {
  const note = ({ shard }: Claim, accepted: readonly AcceptedCommand[]): void => {
    for (const { submission, acceptance } of accepted) {
      if (acceptance.status === 'new') tail.accepted(shard, submission)
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

export const seqOf = (eventId: string): number => parseEventId(eventId)?.seq ?? 0
