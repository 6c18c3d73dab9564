/**
 * The bus of a single process: the promises of `bus.ts` without Redis. With a journal it is the bus of a standalone
 * service, which loses nothing that it has answered when the process is killed; without one it ends with the process.
 *
 * Memory changes in one turn of the event loop, which makes every operation atomic. Its answer, and what edges see of
 * it, wait until the journal holds it; a failed journal stops the bus, because memory and disk then differ.
 */
import type { NodeId, SessionId } from '../protocol/ids.js'
import {
  type Acceptance,
  type Accepted,
  type AcceptedCommand,
  type Bus,
  type Change,
  type Claim,
  type Claimed,
  type CommandBell,
  type CommandStream,
  type Committed,
  type Fenced,
  type Flushed,
  type Hibernated,
  type Hydrated,
  LIMITS,
  type OutEntry,
  type Projected,
  type Refused,
  type Rest,
  type Resumed,
  type SessionHead,
  type SessionLog,
  type SessionRecord,
  type StoredEvent,
  type Submitted,
  type TextFlush,
} from './bus.js'
import { HYDRATE, type Outbox, type Submission } from './command.js'
import type { DormantSession, Whereabouts } from './dormant.js'
import { type BusJournal, type Durability, GroupedWrites, NothingKept } from './memory/durability.js'
import { MemoryBell } from './memory/memory-bell.js'
import { MemoryOutboxes } from './memory/memory-outboxes.js'
import type { MemorySession } from './memory/memory-session.js'
import { MemoryShards } from './memory/memory-shards.js'
import { MemoryTimerStore } from './memory/memory-timer-store.js'

export type { BusJournal } from './memory/durability.js'

export interface MemoryBusOptions {
  /** Where the bus is kept; without one it ends with the process. */
  readonly journal?: BusJournal
  /** Entries that may wait for one edge; default LIMITS.outEntries. */
  readonly outEntries?: number
}

/**
 * Opens the bus with all that its journal holds.
 * @throws what the journal throws when it cannot be read.
 */
export async function createMemoryBus(options: MemoryBusOptions = {}): Promise<Bus> {
  const { journal } = options
  const shards = new MemoryShards()
  if (journal) shards.restore(await journal.load())
  const durability = journal ? new GroupedWrites(journal) : new NothingKept()
  const outboxes = new MemoryOutboxes(options.outEntries ?? LIMITS.outEntries)
  const commands = new MemoryCommandStream(shards, durability, outboxes)
  return {
    commands,
    log: new MemorySessionLog(shards, durability, outboxes),
    outboxes,
    timers: new MemoryTimerStore(shards, durability),
    ping: () => durability.settled(),
    stop: async () => {
      await commands.stop()
      await durability.stop()
      await outboxes.stop()
    },
  }
}

class MemoryCommandStream implements CommandStream {
  readonly #bells = new Set<MemoryBell>()
  #admitsWork = true

  constructor(
    private readonly shards: MemoryShards,
    private readonly durability: Durability,
    private readonly outboxes: MemoryOutboxes,
  ) {}

  async submit(submission: Submission): Promise<Submitted> {
    const shard = this.shards.of(submission.sessionId)
    const submitted = shard.submit(submission)
    if (submitted.status === 'ok') for (const bell of this.#bells) bell.ring(shard.number)
    return submitted
  }

  openBell(_owner: NodeId, onWaiting: (shard: number) => void): CommandBell {
    const bell = new MemoryBell(onWaiting, () => this.#bells.delete(bell))
    this.#bells.add(bell)
    return bell
  }

  async accept(claim: Claim, cursor?: string): Promise<Accepted | Refused> {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim, cursor)
    if (refused) return refused
    const skipped = cursor !== undefined && cursor !== shard.cursor
    const waiting = shard.read(LIMITS.acceptCommands)
    if (waiting.length === 0) return { status: 'ok', commands: [], more: false, cursor: shard.cursor, skipped }
    const group = this.durability.group()
    const commands = waiting.map((submission) => ({
      submission,
      acceptance: shard.accept(submission, group, this.#admitsWork),
    }))
    shard.moveCursor(waiting.length, group)
    const reached = shard.cursor
    await this.durability.keep(group, () => this.#tellEdges(commands))
    return { status: 'ok', commands, more: waiting.length === LIMITS.acceptCommands, cursor: reached, skipped }
  }

  admitWork(admitted: boolean): void {
    this.#admitsWork = admitted
  }

  async hydrate(claim: Claim, sessionId: SessionId, found: Whereabouts): Promise<Hydrated | Refused> {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim)
    if (refused) return refused
    const group = this.durability.group()
    const commands = shard.hydrate(sessionId, found, group)
    await this.durability.keep(group, () => this.#tellEdges(commands))
    return { status: 'ok', commands: commands.filter(({ submission }) => submission.type !== HYDRATE) }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#bells].map((it) => it.stop()))
  }

  /** One entry for each edge, and one for each session that it asked for. */
  #tellEdges(commands: readonly AcceptedCommand[]): void {
    const byEdge = new Map<Outbox, Acceptance[]>()
    for (const { submission, acceptance } of commands) {
      if (submission.type === HYDRATE) {
        const { sessionId, outbox } = submission
        if (acceptance.status === 'dup') this.outboxes.send(outbox, { kind: 'awake', sessionId })
        continue
      }
      const known = byEdge.get(submission.outbox)
      if (known) known.push(acceptance)
      else byEdge.set(submission.outbox, [acceptance])
    }
    for (const [outbox, acceptances] of byEdge) this.outboxes.send(outbox, { kind: 'acceptances', acceptances })
  }
}

class MemorySessionLog implements SessionLog {
  constructor(
    private readonly shards: MemoryShards,
    private readonly durability: Durability,
    private readonly outboxes: MemoryOutboxes,
  ) {}

  async claim(claim: Claim): Promise<Claimed | Fenced> {
    const group = this.durability.group()
    const claimed = this.shards.get(claim.shard).claim(claim, group)
    await this.durability.keep(group)
    return claimed
  }

  async release(claim: Claim): Promise<void> {
    const group = this.durability.group()
    this.shards.get(claim.shard).release(claim, group)
    await this.durability.keep(group)
  }

  async commit(claim: Claim, change: Change): Promise<Committed> {
    const shard = this.shards.get(claim.shard)
    const session = shard.session(change.sessionId)
    if (session?.isLastCommit(change.commitId)) return await this.#durably({ status: 'ok' })
    const refused = shard.refusal(claim)
    if (refused) return refused
    if (!session?.isAt(change, claim.epoch)) return { status: 'head', seq: session?.seq ?? -1 }
    if (!session.holds(change)) return { status: 'corrupt' }
    const group = this.durability.group()
    const events = session.commit(change.eventEpoch ?? claim.epoch, change, group)
    shard.committed(session)
    const show = this.#fanOut(session, { kind: 'events', sessionId: session.id, events })
    await this.durability.keep(group, events.length > 0 ? show : undefined)
    return { status: 'ok' }
  }

  async flush(claim: Claim, flush: TextFlush): Promise<Flushed> {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim)
    if (refused) return refused
    const session = shard.session(flush.sessionId)
    // Nothing may be streamed before the spawn was accepted: that this session is not here means that it was lost.
    if (!session) return { status: 'gap', bytes: 0 }
    const group = this.durability.group()
    const { outcome, isNew } = session.flush(flush, group)
    await this.durability.keep(group, isNew ? this.#fanOut(session, textEntry(flush)) : undefined)
    return outcome
  }

  peek(sessionId: SessionId): Promise<SessionHead | undefined> {
    return this.#durably(this.shards.session(sessionId)?.peek())
  }

  load(sessionId: SessionId): Promise<SessionRecord | undefined> {
    return this.#durably(this.shards.session(sessionId)?.load())
  }

  events(sessionId: SessionId, after: string, limit: number): Promise<readonly StoredEvent[]> {
    return this.#durably(this.shards.session(sessionId)?.events(after, limit) ?? [])
  }

  resume(sessionId: SessionId, outbox: Outbox, after: string, limit: number): Promise<Resumed> {
    const session = this.shards.session(sessionId)
    return this.#durably(session?.resume(outbox, after, limit) ?? { status: 'unknown' })
  }

  async unsubscribe(sessionId: SessionId, outbox: Outbox): Promise<void> {
    this.shards.session(sessionId)?.subscribers.delete(outbox)
  }

  async trim(claim: Claim, projected: readonly Projected[]): Promise<void> {
    const shard = this.shards.get(claim.shard)
    // A refusal needs no answer here: whoever owns the shard now trims it.
    if (shard.refusal(claim)) return
    const group = this.durability.group()
    for (const it of projected) shard.trim(it, group)
    await this.durability.keep(group)
  }

  async rest(claim: Claim, sessionId: SessionId): Promise<Rest | Refused> {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim)
    if (refused) return refused
    return await this.#durably(shard.session(sessionId)?.rest(this.#isOpen) ?? { status: 'absent' })
  }

  async hibernate(claim: Claim, session: DormantSession): Promise<Hibernated | Refused> {
    const shard = this.shards.get(claim.shard)
    const refused = shard.refusal(claim)
    if (refused) return refused
    const group = this.durability.group()
    const hibernated = shard.hibernate(session, this.#isOpen, group)
    await this.durability.keep(group)
    return hibernated
  }

  async dropGoneEdges(claim: Claim, sessionId: SessionId): Promise<void> {
    const shard = this.shards.get(claim.shard)
    if (!shard.refusal(claim)) shard.session(sessionId)?.dropGone(this.#isOpen)
  }

  #isOpen = (outbox: Outbox): boolean => this.outboxes.isOpen(outbox)

  /**
   * Shows an entry to those who are subscribed now. Who resumes later, while the entry still waits for the journal, has
   * it in the answer already.
   */
  #fanOut(session: MemorySession, entry: OutEntry): () => void {
    const subscribers = [...session.subscribers]
    return () => {
      for (const outbox of subscribers) {
        if (!this.outboxes.send(outbox, entry)) session.subscribers.delete(outbox)
      }
    }
  }

  /** Hands out what was read once a kill of the process can no longer undo it. */
  async #durably<T>(read: T): Promise<T> {
    await this.durability.settled()
    return read
  }
}

const textEntry = (flush: TextFlush): OutEntry => ({
  kind: 'text',
  sessionId: flush.sessionId,
  messageId: flush.messageId,
  offset: flush.offset,
  bytes: Buffer.byteLength(flush.text),
  headSeq: flush.headSeq,
  json: flush.json,
})
