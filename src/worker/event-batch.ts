/**
 * The only writer of a session: numbers its events, writes them in order, and gathers what comes close together.
 *
 *   append(entry) ─┐                        ┌─ commit: events, state, ended commands
 *   text(chunk)  ──┴─▶ queue ─▶ one at a time ┤
 *                                            └─ flush: text of the open message
 *
 * A write whose reply is lost is sent again under the same id until the store answers or ownership is lost. One that the
 * store refuses because it lacks what came before waits until that has been put back (store-recovery.ts).
 */
import type { Claim, Committed, Flushed, Part, SessionLog } from '../bus/bus.js'
import type { StreamChunk } from '../protocol/events.js'
import { newWriterId } from '../protocol/ids.js'
import type { Tracing } from '../telemetry/tracing.js'
import { ChangeBuilder, type Entry, type WrittenEvents } from './change-builder.js'
import type { FlushInterval } from './flush-interval.js'
import { commitSpan, during } from './session-trace.js'
import { untilStoreAnswers } from './store-patience.js'
import { type GatheredText, TEXT_CHARS, TextBuffer } from './text-buffer.js'
import { WriterLost } from './writer-lost.js'

/** A store may fail over again while it is being restored; one that still lacks what we wrote has lost it for good. */
const MAX_RESTORES = 3

/** What a writer needs of the log. */
export type WriterLog = Pick<SessionLog, 'commit' | 'flush'>

export interface EventBatchOptions {
  readonly log: WriterLog
  readonly claim: Claim
  readonly sessionId: string
  /** Sequence number of the last event in the log. */
  readonly headSeq: number
  readonly part: Part | undefined
  /** Id of the last commit, '' before the first. */
  readonly lastCommit: string
  readonly tracing?: Tracing | undefined
  /** For how long text is gathered; told how late it is kept. */
  readonly interval: Pick<FlushInterval, 'ms' | 'kept'>
  /** The store has lost writes of ours. Resolves once they are back; false when that is not to be. */
  readonly restore: () => Promise<boolean>
  /** Told of events after they are durable. */
  readonly onWritten: (written: WrittenEvents) => void
  /** Told once; every pending and later write fails with `WriterLost`. */
  readonly onLost: (error: WriterLost) => void
}

interface PendingCommit {
  readonly kind: 'commit'
  readonly entry: Entry
  readonly done: () => void
  readonly failed: (error: Error) => void
}

interface PendingText extends GatheredText {
  readonly kind: 'text'
  readonly messageId: string
}

export class EventBatch {
  readonly #options: EventBatchOptions
  #seq: number
  /** Commit ids are this writer's own id and a count. */
  readonly #writer = newWriterId()
  #commits = 0
  #lastCommit: string
  #queue: (PendingCommit | PendingText)[] = []
  #pumping = false
  #lastWrite: Promise<void> = Promise.resolve()
  #lost: WriterLost | undefined
  #messageId: string | undefined
  #offset: number
  /** Text not yet in the queue. */
  readonly #buffer: TextBuffer

  constructor(options: EventBatchOptions) {
    this.#options = options
    this.#buffer = new TextBuffer(options.interval, () => this.#queueText(false))
    this.#seq = options.headSeq
    this.#lastCommit = options.lastCommit
    this.#messageId = options.part?.messageId
    this.#offset = Buffer.byteLength(options.part?.text ?? '')
  }

  /** Resolves when the entry is durable. @throws WriterLost */
  append(entry: Entry): Promise<void> {
    if (this.#lost) return Promise.reject(this.#lost)
    this.#queueText(entry.clearPart === true)
    const written = new Promise<void>((done, failed) => {
      this.#queue.push({ kind: 'commit', entry, done, failed })
      this.#pump()
    })
    this.#lastWrite = written
    return written
  }

  /** Resolves when all that was appended so far is durable, or lost. */
  async settled(): Promise<void> {
    await this.#lastWrite.catch(() => undefined)
  }

  /** Begins a message, or goes on with the one that `part` left open. */
  openMessage(messageId: string): void {
    if (this.#messageId === messageId) return
    this.#messageId = messageId
    this.#offset = 0
  }

  /** Adds text to the open message. */
  text(chunk: string): void {
    if (!this.#lost && chunk !== '') this.#buffer.add(chunk)
  }

  /** Ends writing: what waits fails. Used when ownership goes elsewhere. */
  close(reason: WriterLost['reason'] = 'closed'): void {
    this.#lose(new WriterLost(reason))
  }

  /** Moves gathered text to the queue. */
  #queueText(atEnd: boolean): void {
    if (this.#messageId === undefined) return
    const gathered = this.#buffer.take(atEnd)
    if (gathered === undefined) return
    this.#queue.push({ kind: 'text', messageId: this.#messageId, ...gathered })
    this.#pump()
  }

  /** Starts after the present tick, so that what belongs to one step goes out in one commit. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    setImmediate(() => void this.#drain())
  }

  async #drain(): Promise<void> {
    try {
      for (let next = this.#queue[0]; next && !this.#lost; next = this.#queue[0]) {
        if (next.kind === 'text') await this.#writeText(this.#takeText())
        else await this.#writeCommits()
      }
    } catch (error) {
      this.#lose(error instanceof WriterLost ? error : new WriterLost('unreachable'))
    } finally {
      this.#pumping = false
    }
  }

  #takeText(): PendingText {
    const taken = this.#queue.shift() as PendingText
    let { text, pieces } = taken
    for (let next = this.#queue[0]; next?.kind === 'text'; next = this.#queue[0]) {
      if (next.messageId !== taken.messageId || text.length + next.text.length > TEXT_CHARS) break
      text += next.text
      pieces += next.pieces
      this.#queue.shift()
    }
    return { ...taken, text, pieces }
  }

  async #writeText({ messageId, text, pieces, dueAt, gatheredMs }: PendingText): Promise<void> {
    const { log, claim, sessionId, interval } = this.#options
    const offset = this.#offset
    const held = Math.floor(gatheredMs)
    const chunk: StreamChunk = {
      type: 'stream_chunk',
      data: {
        ...{ sessionId, chunk: text, messageId, offset },
        metadata: { tokens: pieces, ...(held > 0 && { gatheredMs: held }) },
      },
    }
    const flush = { sessionId, messageId, offset, text, headSeq: this.#seq, json: JSON.stringify(chunk) }
    const reply = await this.#persist(() => log.flush(claim, flush))
    if (reply.status !== 'ok') throw new WriterLost(reply.status)
    this.#offset = offset + Buffer.byteLength(text)
    interval.kept(performance.now() - dueAt)
  }

  async #writeCommits(): Promise<void> {
    const { log, claim, sessionId, tracing } = this.#options
    const id = `${this.#writer}-${++this.#commits}`
    const builder = new ChangeBuilder({ sessionId, id, after: this.#lastCommit, epoch: claim.epoch, seq: this.#seq })
    const taken: PendingCommit[] = []
    for (const next of this.#queue) {
      if (next.kind !== 'commit' || !builder.add(next.entry)) break
      taken.push(next)
    }
    const { change, written } = builder.build()
    // They stay in the queue until they are durable, so that losing the writer fails them with all others.
    const span = tracing && commitSpan(tracing, sessionId, written)
    const write = this.#persist(() => log.commit(claim, change))
    const reply = await (span ? during(span, write) : write)
    if (reply.status !== 'ok') throw new WriterLost(reply.status)
    this.#queue.splice(0, taken.length)
    this.#lastCommit = id
    this.#seq += written.events.length
    if (written.events.length > 0) this.#options.onWritten(written)
    for (const it of taken) it.done()
  }

  /**
   * Writes, and writes the same again once the store has back what it had lost. This write is not part of what is put
   * back: only what was acknowledged is, and it comes after that.
   */
  async #persist<T extends Committed | Flushed>(write: () => Promise<T>): Promise<T> {
    for (let restores = 0; ; restores++) {
      const reply = await untilStoreAnswers(write, () => this.#lost)
      if (restores === MAX_RESTORES || !this.#tellsOfLoss(reply)) return reply
      if (!(await this.#options.restore())) return reply
      if (this.#lost) throw this.#lost
    }
  }

  #tellsOfLoss(reply: Committed | Flushed): boolean {
    if (reply.status === 'head') return reply.seq <= this.#seq
    return reply.status === 'rollback' || reply.status === 'corrupt' || reply.status === 'gap'
  }

  #lose(error: WriterLost): void {
    if (this.#lost) return
    this.#lost = error
    this.#buffer.close()
    for (const it of this.#queue) if (it.kind === 'commit') it.failed(error)
    this.#queue = []
    this.#options.onLost(error)
  }
}
