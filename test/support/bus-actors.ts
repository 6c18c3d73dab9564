/**
 * A worker and an edge for tests of the bus, reduced to what its interfaces say about them.
 */
import { expect } from 'vitest'
import {
  type Acceptance,
  type Accepted,
  type Bus,
  type Change,
  type Claim,
  type Committed,
  type EdgeOutbox,
  type Flushed,
  LIMITS,
  type OutEntry,
  type Refused,
  type StoredEvent,
} from '../../src/bus/bus.js'
import type { Outbox, Submission } from '../../src/bus/command.js'
import { newCommandId, newNodeId, newSessionId, parseEventId, type SessionId } from '../../src/protocol/ids.js'

/** What an edge must see arrives in milliseconds; a loaded machine may take seconds. */
export const ARRIVAL = { timeout: 20_000, interval: 5 } as const

/** A submission of an `execute` command, unless `more` says otherwise. */
export function submission(sessionId: SessionId, outbox: Outbox, more: Partial<Submission> = {}): Submission {
  const commandId = more.commandId ?? newCommandId()
  const body = JSON.stringify({ type: more.type ?? 'execute', id: commandId })
  return { sessionId, commandId, type: 'execute', tenant: 'acme', outbox, fresh: false, body, ...more }
}

export const spawnOf = (sessionId: SessionId, outbox: Outbox, fresh = true): Submission =>
  submission(sessionId, outbox, { commandId: sessionId, type: 'spawn', fresh })

/** The JSON of an event; `eventId` is part of it as everywhere. */
export const eventBody = (sessionId: SessionId, eventId: string): string =>
  JSON.stringify({ type: 'session_status_update', eventId, sessionId, timestamp: '2026-01-01T00:00:00.000Z' })

export const seqOf = (eventId: string): number => parseEventId(eventId)?.seq ?? Number.NaN

/** The owner of one shard. */
export class TestOwner {
  #commits = 0
  #accepting: Promise<unknown> = Promise.resolve()

  private constructor(
    readonly bus: Bus,
    readonly claimed: Claim,
  ) {}

  /** Claims a shard, which must succeed. */
  static async claim(bus: Bus, shard: number, epoch = 1): Promise<TestOwner> {
    const claim = { shard, owner: newNodeId('worker'), epoch }
    const claimed = await bus.log.claim(claim)
    if (claimed.status === 'fenced') throw new Error(`shard ${shard} was claimed under epoch ${claimed.epoch}`)
    return new TestOwner(bus, claim)
  }

  /** Submits commands and accepts what waits then, at most a batch. Calls follow one another: each gets its own. */
  accept(...submissions: readonly Submission[]): Promise<Accepted | Refused> {
    const accepted = this.#accepting.then(() => this.#submitAndAccept(submissions))
    this.#accepting = accepted.catch(() => undefined)
    return accepted
  }

  async #submitAndAccept(submissions: readonly Submission[]): Promise<Accepted | Refused> {
    for (const it of submissions) await this.bus.commands.submit(it)
    return await this.bus.commands.accept(this.claimed)
  }

  /** The answers to accepted commands, in order. */
  async acceptances(...submissions: readonly Submission[]): Promise<readonly Acceptance[]> {
    const accepted = await this.accept(...submissions)
    if (accepted.status !== 'ok') throw new Error(`accept was refused: ${accepted.status}`)
    return accepted.commands.map((it) => it.acceptance)
  }

  async spawn(outbox: Outbox): Promise<SessionId> {
    const sessionId = newSessionId(this.claimed.shard)
    const [acceptance] = await this.acceptances(spawnOf(sessionId, outbox))
    expect(acceptance?.status).toBe('new')
    return sessionId
  }

  /** A change that appends `count` events behind `expectedSeq` and does nothing else, unless `more` says so. */
  change(sessionId: SessionId, expectedSeq: number, count: number, more: Partial<Change> = {}): Change {
    const ids = Array.from({ length: count }, (_, index) => `${this.claimed.epoch}-${expectedSeq + 1 + index}`)
    this.#commits += 1
    return {
      sessionId,
      commitId: `${this.claimed.owner}/${this.#commits}`,
      expectedSeq,
      events: ids.map((id) => eventBody(sessionId, id)),
      status: 'active',
      state: undefined,
      popInbox: 0,
      popControl: 0,
      ended: [],
      clearPart: false,
      ...more,
    }
  }

  commit(change: Change): Promise<Committed> {
    return this.bus.log.commit(this.claimed, change)
  }

  /** Appends events behind the present head, which must succeed. */
  async append(sessionId: SessionId, count: number, more: Partial<Change> = {}): Promise<Change> {
    const head = (await this.bus.log.peek(sessionId))?.head ?? ''
    const change = this.change(sessionId, seqOf(head), count, more)
    expect(await this.commit(change)).toEqual({ status: 'ok' })
    return change
  }

  flush(sessionId: SessionId, messageId: string, offset: number, text: string, headSeq = 0): Promise<Flushed> {
    const json = JSON.stringify({ type: 'stream_chunk', data: { sessionId, messageId, offset, chunk: text } })
    return this.bus.log.flush(this.claimed, { sessionId, messageId, offset, text, headSeq, json })
  }

  trim(sessionId: SessionId, seq: number, keep: number): Promise<void> {
    return this.bus.log.trim(this.claimed, [{ sessionId, seq, keep }])
  }
}

/** An edge that keeps all that it is told. */
export class TestEdge {
  readonly entries: OutEntry[] = []
  readonly reopened: Outbox[] = []
  #outbox: EdgeOutbox | undefined

  static async open(bus: Bus, id = newNodeId('edge')): Promise<TestEdge> {
    const edge = new TestEdge()
    edge.#outbox = await bus.outboxes.open(id, {
      onEntries: (entries) => edge.entries.push(...entries),
      onReopened: (name) => edge.reopened.push(name),
    })
    return edge
  }

  get name(): Outbox {
    if (!this.#outbox) throw new Error('the outbox is not open')
    return this.#outbox.name
  }

  acceptances(): Acceptance[] {
    return this.entries.flatMap((it) => (it.kind === 'acceptances' ? it.acceptances : []))
  }

  events(sessionId: SessionId): StoredEvent[] {
    return this.entries.flatMap((it) => (it.kind === 'events' && it.sessionId === sessionId ? it.events : []))
  }

  texts(sessionId: SessionId): OutEntry[] {
    return this.entries.filter((it) => it.kind === 'text' && it.sessionId === sessionId)
  }

  async stop(): Promise<void> {
    await this.#outbox?.stop()
  }
}

/** Everything behind `after` that the log still holds. */
export const logOf = (bus: Bus, sessionId: SessionId, after = '0-0'): Promise<readonly StoredEvent[]> =>
  bus.log.events(sessionId, after, LIMITS.outEntries)

export const idsOf = (events: readonly StoredEvent[]): string[] => events.map((it) => it.eventId)
