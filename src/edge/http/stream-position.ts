/**
 * Where the reader of an event stream is, as one word: the last event, and in the middle of a message how much of it. Browsers
 * send it back as `Last-Event-ID`, and from there a stream goes on without a gap and without anything twice.
 *
 *   7-42                      after event 7-42
 *   7-42/msg_01ARZ…/1204      and with 1204 bytes of that message
 */
import type { Position } from '../../protocol/commands.js'
import type { StreamChunk } from '../../protocol/events.js'

interface Message {
  readonly type: string
  readonly eventId?: string
  readonly messageId?: string
  readonly reset?: boolean
}

/** Whatever ends a message, or the task that it belonged to. */
const ENDS = new Set(['stream_end', 'task_completed', 'task_failed', 'task_cancelled'])

export class StreamPosition {
  #eventId: string | undefined
  #text: { readonly messageId: string; readonly offset: number } | undefined

  /** `from` is where the reader said that it is. */
  constructor(from: Position | undefined) {
    const { messageId, offset } = from ?? {}
    if (messageId !== undefined && offset !== undefined) this.#text = { messageId, offset }
  }

  /** Undefined before the first position is known, and for what is no part of the story. */
  after(message: Message): string | undefined {
    if (message.type === 'stream_chunk') {
      const { messageId, offset, chunk } = (message as unknown as StreamChunk).data
      this.#text = { messageId, offset: offset + Buffer.byteLength(chunk) }
    } else if (message.eventId === undefined) return undefined
    else {
      this.#eventId = message.eventId
      if (message.reset || ENDS.has(message.type)) this.#text = undefined
    }
    if (this.#eventId === undefined || !this.#text) return this.#eventId
    return `${this.#eventId}/${this.#text.messageId}/${this.#text.offset}`
  }
}

/** A position that was checked against its schema. */
export function positionOf(text: string): Position {
  const [eventId = '', messageId, offset] = text.split('/')
  return { eventId, ...(messageId !== undefined && { messageId, offset: Number(offset) }) }
}
