/**
 * Tells the story of a session in messages for people: text in pieces as it comes, who must allow what, and how the task
 * ended. Decides only. Each piece carries the position behind it, so whoever goes on from there tells the rest and nothing
 * twice.
 *
 *   stream_chunk … stream_end ─▶ held until it is known whether more follows ─▶ progress, or the result
 */
import type { Position } from '../protocol/commands.js'
import type { ServerMessage, StreamChunk, StreamEnd, TaskCompleted } from '../protocol/events.js'
import type { Posting, PostingKind } from '../storage/neolith-tasks.js'
import type { TaskOutcome } from './session-door.js'

/** The position before the first event. */
const FROM_START: Position = { eventId: '0-0' }
/** Between two pieces of one message: people read, and Neolith takes one message a second. */
const PIECE_EVERY_MS = 3_000
/** A paragraph that is shorter waits for the next one. */
const MIN_PIECE_CHARS = 200
/** Longer ones are cut: no chat shows more at once. */
const MAX_PIECE_CHARS = 8_000

export const CANCELLED: TaskOutcome = { kind: 'cancelled', words: 'The task was cancelled.' }
/** Of a result without words. */
export const DONE = 'Done.'

export interface NarratorOptions {
  /** Of the message that is answered; keys of pieces begin with it. */
  readonly messageId: string
  readonly taskId: string
  /** How far the story has been told. */
  readonly from: Position | null
  /** Monotonic, in ms. */
  readonly clock: () => number
}

export class Narrator {
  readonly #options: NarratorOptions
  #eventId: string
  /** The message whose text is told now. */
  #messageId: string | undefined
  /** UTF-8 bytes of it that are told. */
  #told: number
  /** What is known of it and not told. */
  #text = ''
  #pieceAt: number
  #over = false

  constructor(options: NarratorOptions) {
    this.#options = options
    const { eventId, messageId, offset } = options.from ?? FROM_START
    this.#eventId = eventId
    this.#messageId = messageId
    this.#told = offset ?? 0
    this.#pieceAt = options.clock()
  }

  /** The task has ended, and so has the story. */
  get over(): boolean {
    return this.#over
  }

  /** What there is to tell now; messages come in their order. */
  hear(message: ServerMessage): readonly Posting[] {
    if (message.type === 'stream_chunk') return this.#chunk(message)
    if (message.type === 'subscribed') {
      if (message.reset) this.#reset(message.eventId)
      return []
    }
    const pieces = this.#event(message)
    if ('eventId' in message && message.eventId !== undefined) this.#eventId = message.eventId
    return pieces
  }

  /** The end of the task as somebody else tells it; there is nothing more to hear. */
  conclude({ kind, words }: TaskOutcome): readonly Posting[] {
    return [...this.#rest(), this.#end(kind, words)]
  }

  #reset(eventId: string): void {
    this.#eventId = eventId
    this.#messageId = undefined
    this.#told = 0
    this.#text = ''
  }

  #event(message: Exclude<ServerMessage, StreamChunk>): readonly Posting[] {
    switch (message.type) {
      case 'task_executing':
        return message.taskId === this.#options.taskId ? [this.#piece('started', 'On it.', message.eventId)] : []
      case 'stream_start':
        return message.agent === undefined ? this.#began(message.messageId) : []
      case 'stream_end':
        return message.agent === undefined ? this.#ended(message) : []
      case 'approval_request':
        return [...this.#rest(), this.#piece('approval', asking(message), message.eventId)]
      case 'tool_call_start':
        return this.#rest()
      case 'task_completed':
        return this.#isOurs(message) ? this.#completed(message) : this.#rest()
      case 'task_failed':
        return this.#isOurs(message) ? this.conclude({ kind: 'failed', words: message.error }) : this.#rest()
      case 'task_cancelled':
        return this.#isOurs(message) ? this.conclude(CANCELLED) : this.#rest()
      default:
        return []
    }
  }

  #isOurs({ taskId }: { readonly taskId: string }): boolean {
    return taskId === this.#options.taskId
  }

  #began(messageId: string): readonly Posting[] {
    const rest = this.#rest()
    if (messageId !== this.#messageId) this.#told = 0
    this.#messageId = messageId
    this.#text = ''
    return rest
  }

  #chunk({ data }: StreamChunk): readonly Posting[] {
    // Of an agent that is not the session's own; its result is told by the session.
    if (data.messageId !== this.#messageId) return []
    this.#text += data.chunk
    const { clock } = this.#options
    const pieces = this.#cut()
    const end = this.#text.lastIndexOf('\n\n')
    if (clock() - this.#pieceAt < PIECE_EVERY_MS || end < MIN_PIECE_CHARS) return pieces
    return [...pieces, ...this.#tell(end)]
  }

  /** The whole text is known now, also where only the end of it was heard. */
  #ended({ messageId, text }: StreamEnd): readonly Posting[] {
    if (messageId !== this.#messageId) this.#told = 0
    this.#messageId = messageId
    this.#text = Buffer.from(text).subarray(this.#told).toString()
    return this.#cut()
  }

  #completed({ result }: TaskCompleted): readonly Posting[] {
    const held = this.#text.trim()
    const told = this.#told > 0
    this.#text = ''
    const words = held || (told ? '' : result.output.trim().slice(0, MAX_PIECE_CHARS))
    return [this.#end('result', words || DONE)]
  }

  #end(kind: PostingKind, content: string): Posting {
    this.#over = true
    return this.#piece(kind, content.slice(0, MAX_PIECE_CHARS), this.#eventId)
  }

  /** Everything that is too long for one message, but for the last part. */
  #cut(): readonly Posting[] {
    const pieces: Posting[] = []
    while (this.#text.length > MAX_PIECE_CHARS) pieces.push(...this.#tell(cutAt(this.#text)))
    return pieces
  }

  /** What was held back, because more follows. */
  #rest(): readonly Posting[] {
    return this.#text.trim() === '' ? [] : this.#tell(this.#text.length)
  }

  #tell(chars: number): readonly Posting[] {
    const text = this.#text.slice(0, chars)
    this.#text = this.#text.slice(chars)
    this.#told += Buffer.byteLength(text)
    this.#pieceAt = this.#options.clock()
    if (text.trim() === '') return []
    return [this.#piece('progress', text.trim(), this.#eventId)]
  }

  #piece(kind: PostingKind, content: string, eventId: string): Posting {
    const { messageId, taskId } = this.#options
    const position: Position =
      this.#messageId === undefined ? { eventId } : { eventId, messageId: this.#messageId, offset: this.#told }
    const key = [messageId, kind, eventId, position.messageId ?? '', position.offset ?? ''].join('/')
    return { key, content, kind, taskId, position }
  }
}

/** Behind the last line or word that fits; never between the halves of a character. */
function cutAt(text: string): number {
  const head = text.slice(0, MAX_PIECE_CHARS)
  const at = Math.max(head.lastIndexOf('\n'), head.lastIndexOf(' '))
  if (at > MAX_PIECE_CHARS / 2) return at + 1
  return /[\ud800-\udbff]$/.test(head) ? MAX_PIECE_CHARS - 1 : MAX_PIECE_CHARS
}

const asking = ({ toolName, reason }: { readonly toolName: string; readonly reason: string }): string =>
  `Waiting for a person to allow ${toolName}: ${reason}`
