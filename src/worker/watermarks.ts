/**
 * How far Postgres holds each session: told to the bus once a second, which then drops what nobody needs there any more,
 * and what the next owner of a shard need not project again.
 */
import type { Claim, SessionLog } from '../bus/bus.js'
import type { SessionId } from '../protocol/ids.js'

const TRIM_MS = 1_000
/** A live session keeps this many events for resuming clients; older ones come from Postgres. */
const KEEP_EVENTS = 256

interface Watermark {
  readonly claim: Claim
  readonly seq: number
  readonly keep: number
}

export class Watermarks {
  /** Those that moved since the bus was told. */
  readonly #moved = new Map<SessionId, Watermark>()
  /** Of sessions that are in memory. */
  readonly #reached = new Map<SessionId, Omit<Watermark, 'keep'>>()
  /** Claims that were let go, each for itself: a shard may be granted again under the same epoch. */
  readonly #left = new WeakSet<Claim>()
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly log: Pick<SessionLog, 'trim'>) {}

  start(): void {
    this.#timer = setInterval(() => void this.#tell(), TRIM_MS)
  }

  /** Tells the bus what it has not heard yet. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#tell()
  }

  /** Postgres holds everything up to `seq`; nothing is noted under a claim that was let go. */
  raise(claim: Claim, sessionId: SessionId, seq: number): void {
    if (this.#left.has(claim)) return
    this.#reached.set(sessionId, { claim, seq })
    this.#moved.set(sessionId, { claim, seq, keep: KEEP_EVENTS })
  }

  /** The session has left the memory: nothing of its log need stay. */
  rest(claim: Claim, sessionId: SessionId): void {
    const reached = this.#reached.get(sessionId)
    this.#reached.delete(sessionId)
    if (reached) this.#moved.set(sessionId, { claim, seq: reached.seq, keep: 0 })
  }

  /** The next owner of the shard counts on its own projection alone. */
  leave(left: Claim): void {
    this.#left.add(left)
    for (const marks of [this.#moved, this.#reached]) {
      for (const [id, { claim }] of marks) if (claim === left) marks.delete(id)
    }
  }

  async #tell(): Promise<void> {
    const byClaim = new Map<Claim, { sessionId: SessionId; seq: number; keep: number }[]>()
    for (const [sessionId, { claim, seq, keep }] of this.#moved) {
      const list = byClaim.get(claim) ?? []
      list.push({ sessionId, seq, keep })
      byClaim.set(claim, list)
    }
    this.#moved.clear()
    // Losing a trim costs memory in the store until the session's next one.
    await Promise.allSettled([...byClaim].map(([claim, sessions]) => this.log.trim(claim, sessions)))
  }
}
