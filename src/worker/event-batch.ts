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
import { ChangeBuilder, type Entry, type WrittenEvents } from './change-builder.js'
import { untilStoreAnswers } from './store-patience.js'
import { WriterLost } from './writer-lost.js'

/** Text is shown at most this much later than it came; a first piece after a pause goes out at once. */
const TEXT_INTERVAL_MS = 20
/** One flush; longer text goes out in several. */
const TEXT_CHARS = 32_768
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

interface PendingText {
  readonly kind: 'text'
  readonly messageId: string
  readonly text: string
  readonly pieces: number
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
  /** Text not yet in the queue, and how many pieces of the model's stream it is made of. */
  #buffered = ''
  #pieces = 0
  #textTimer: NodeJS.Timeout | undefined
  #lastTextAt = 0

  constructor(options: EventBatchOptions) {
    this.#options = options
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
    if (this.#lost || chunk === '') return
    this.#buffered += chunk
    this.#pieces += 1
    const wait = this.#lastTextAt + TEXT_INTERVAL_MS - performance.now()
    if (wait <= 0 || this.#buffered.length >= TEXT_CHARS) this.#queueText(false)
    else this.#textTimer ??= setTimeout(() => this.#queueText(false), wait)
  }

  /** Ends writing: what waits fails. Used when ownership goes elsewhere. */
  close(reason: WriterLost['reason'] = 'closed'): void {
    this.#lose(new WriterLost(reason))
  }

  /** Moves buffered text to the queue; half a surrogate pair waits for its other half, except at the end. */
  #queueText(atEnd: boolean): void {
    clearTimeout(this.#textTimer)
    this.#textTimer = undefined
    const cut = !atEnd && isHighSurrogate(this.#buffered) ? -1 : this.#buffered.length
    const text = this.#buffered.slice(0, cut)
    if (text === '' || this.#messageId === undefined) return
    this.#buffered = this.#buffered.slice(text.length)
    this.#queue.push({ kind: 'text', messageId: this.#messageId, text, pieces: this.#pieces })
    this.#pieces = 0
    this.#lastTextAt = performance.now()
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

  async #writeText({ messageId, text, pieces }: PendingText): Promise<void> {
    const { log, claim, sessionId } = this.#options
    const offset = this.#offset
    const chunk: StreamChunk = {
      type: 'stream_chunk',
      data: { sessionId, chunk: text, messageId, offset, metadata: { tokens: pieces } },
    }
    const flush = { sessionId, messageId, offset, text, headSeq: this.#seq, json: JSON.stringify(chunk) }
    const reply = await this.#persist(() => log.flush(claim, flush))
    if (reply.status !== 'ok') throw new WriterLost(reply.status)
    this.#offset = offset + Buffer.byteLength(text)
  }

  async #writeCommits(): Promise<void> {
    const { log, claim, sessionId } = this.#options
    const id = `${this.#writer}-${++this.#commits}`
    const builder = new ChangeBuilder({ sessionId, id, after: this.#lastCommit, epoch: claim.epoch, seq: this.#seq })
    const taken: PendingCommit[] = []
    for (const next of this.#queue) {
      if (next.kind !== 'commit' || !builder.add(next.entry)) break
      taken.push(next)
    }
    const { change, written } = builder.build()
    // They stay in the queue until they are durable, so that losing the writer fails them with all others.
    const reply = await this.#persist(() => log.commit(claim, change))
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
    clearTimeout(this.#textTimer)
    for (const it of this.#queue) if (it.kind === 'commit') it.failed(error)
    this.#queue = []
    this.#options.onLost(error)
  }
}

const isHighSurrogate = (text: string): boolean => {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}
