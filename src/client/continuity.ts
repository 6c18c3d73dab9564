/**
 * What a client has of a session, and whether a message is the next one. Decides only; the caller asks the server again
 * when something is missing.
 */
import type { Position } from '../protocol/commands.js'
import type { ServerMessage, StreamChunk } from '../protocol/events.js'

/** The position before the first event. */
export const FROM_START: Position = { eventId: '0-0' }

/** `next` take it · `known` seen before · `gap` something before it is missing. */
export type Verdict = 'next' | 'known' | 'gap'

/** Finished messages whose text is remembered. */
const MAX_TEXTS = 32

const utf8 = new TextEncoder()

export class Continuity {
  #epoch = 0
  #seq = 0
  #messageId: string | undefined
  #offset = 0
  readonly #texts = new Map<string, string>()

  constructor(from: Position = FROM_START) {
    this.reset(from)
  }

  get position(): Position {
    const eventId = `${this.#epoch}-${this.#seq}`
    return this.#messageId === undefined ? { eventId } : { eventId, messageId: this.#messageId, offset: this.#offset }
  }

  /** Text received of a message, '' when nothing is known of it. */
  text(messageId: string): string {
    return this.#texts.get(messageId) ?? ''
  }

  /** Starts from a position that the server, or the user, named. */
  reset(position: Position): void {
    const [epoch, seq] = numbersOf(position.eventId)
    this.#epoch = epoch
    this.#seq = seq
    this.#messageId = position.messageId
    this.#offset = position.offset ?? 0
    this.#texts.clear()
  }

  /** Judges a logged event and, if it is the next one, moves behind it. */
  event(eventId: string): Verdict {
    const [epoch, seq] = numbersOf(eventId)
    if (seq <= this.#seq) return 'known'
    if (seq !== this.#seq + 1) return 'gap'
    this.#epoch = epoch
    this.#seq = seq
    return 'next'
  }

  /** Judges a piece of text and, if it continues what is there, takes it. */
  chunk({ data }: StreamChunk): Verdict {
    const { messageId, offset, chunk } = data
    const have = this.#messageId === messageId ? this.#offset : 0
    const bytes = utf8.encode(chunk).length
    if (offset + bytes <= have) return 'known'
    if (offset !== have) return 'gap'
    this.#messageId = messageId
    this.#offset = have + bytes
    this.#remember(messageId, this.text(messageId) + chunk)
    return 'next'
  }

  /** A message has ended: its whole text is known, also when only the end of it was streamed to us. */
  complete(messageId: string, text: string): void {
    this.#remember(messageId, text)
  }

  #remember(messageId: string, text: string): void {
    this.#texts.set(messageId, text)
    if (this.#texts.size <= MAX_TEXTS) return
    for (const oldest of this.#texts.keys()) {
      if (oldest !== messageId) this.#texts.delete(oldest)
      return
    }
  }
}

/** The event id of a message that the log has numbered. */
export function eventIdOf(message: ServerMessage): string | undefined {
  return message.type !== 'subscribed' && 'eventId' in message ? message.eventId : undefined
}

function numbersOf(eventId: string): [number, number] {
  const [epoch, seq] = eventId.split('-').map(Number)
  return [epoch ?? 0, seq ?? 0]
}
