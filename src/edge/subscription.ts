/**
 * One client's view of one session: what it has, and therefore what it may be sent next. Events reach it in order and
 * once; text of a message reaches it byte by byte, contiguous from 0. Everything that does not fit exactly is refused
 * here, and the caller reads the log instead.
 */
import type { StoredEvent } from '../bus/bus.js'
import type { RequestId } from '../protocol/commands.js'
import type { StreamChunk } from '../protocol/events.js'
import { formatEventId, parseEventId, type SessionId } from '../protocol/ids.js'

/** Where frames go: a connection. */
export interface Receiver {
  /** False while so much waits for the client that events must be read from the log later. */
  hasRoom(): boolean
  push(frame: string): void
}

/** What a client has: the last event, and how many UTF-8 bytes of which message. */
export interface Place {
  readonly epoch: number
  readonly seq: number
  readonly messageId: string | undefined
  readonly offset: number
}

export const START: Place = { epoch: 0, seq: 0, messageId: undefined, offset: 0 }

/** An event with its id read once for all subscribers. */
export interface NumberedEvent {
  readonly epoch: number
  readonly seq: number
  readonly body: string
}

/** Text as it passes by: `bytes` long, at `offset` of its message. */
export interface TextEntry {
  readonly messageId: string
  readonly offset: number
  readonly bytes: number
  readonly headSeq: number
  readonly json: string
}

/** `sent` · `stale` the client has it · `gap` something before it is missing · `full` the client must read first. */
export type Delivery = 'sent' | 'stale' | 'gap' | 'full'

/**
 * `live` gets entries as they come · `resuming` reads the log, entries wait · `behind` a slow client, entries pass by
 * unsent until it has read · `awaiting` its session does not exist yet · `closed` is over.
 */
export type SubscriptionState = 'live' | 'resuming' | 'behind' | 'awaiting' | 'closed'

export class Subscription {
  state: SubscriptionState
  /** Raised by every new resume and by the end; work of an older ticket must stop. */
  ticket = 0
  /** The next resume starts from the present instead of from the place. */
  fromNow: boolean
  /** The client's place is in no store: it must hear of a reset before anything else, whichever resume gets that far. */
  owesReset = false
  /** The client's `subscribe`, until it is answered. */
  question: { readonly requestId: RequestId | undefined } | undefined
  #place: Place
  /** The message of which text was sent and whose end was not. */
  #openMessage: string | undefined

  constructor(
    readonly sessionId: SessionId,
    readonly receiver: Receiver,
    start: { readonly state: SubscriptionState; readonly place: Place | 'now' },
  ) {
    this.state = start.state
    this.fromNow = start.place === 'now'
    this.#place = start.place === 'now' ? START : start.place
  }

  get place(): Place {
    return this.#place
  }

  get eventId(): string {
    return formatEventId(this.#place.epoch, this.#place.seq)
  }

  /** Takes over a position that the client named, or that the log gave. */
  moveTo(place: Place): void {
    this.#place = place
    this.#openMessage = undefined
  }

  /** Whether the client has text of a message that is being streamed, and that is not the one which the store streams. */
  hasOpenText(streamed: string | undefined): boolean {
    return this.#openMessage !== undefined && this.#openMessage !== streamed
  }

  /** Sends an event if it is the next one. */
  sendEvent(event: NumberedEvent): Delivery {
    const { epoch, seq } = this.#place
    if (event.seq <= seq && event.epoch <= epoch) return 'stale'
    // A newer owner that numbers from before our place has lost what we saw: the log must say what is true.
    if (event.seq !== seq + 1 || event.epoch < epoch) return 'gap'
    if (!this.receiver.hasRoom()) return 'full'
    const end = streamEnd(event.body)
    if (end && !this.#completeText(end)) return 'gap'
    this.receiver.push(event.body)
    if (end || (this.#openMessage !== undefined && TASK_END.test(event.body))) this.#openMessage = undefined
    this.#place = { ...this.#place, epoch: event.epoch, seq: event.seq }
    return 'sent'
  }

  /** Sends text of the message being streamed if it continues exactly what the client has. */
  sendText(text: TextEntry): Delivery {
    if (text.headSeq < this.#place.seq) return 'stale'
    if (text.headSeq > this.#place.seq) return 'gap'
    const have = this.#bytesOf(text.messageId)
    if (text.offset + text.bytes <= have) return 'stale'
    if (text.offset !== have) return 'gap'
    if (!this.receiver.hasRoom()) return 'full'
    this.receiver.push(text.json)
    this.#openMessage = text.messageId
    this.#place = { ...this.#place, messageId: text.messageId, offset: have + text.bytes }
    return 'sent'
  }

  /** Sends what is missing of a message that is being streamed. `gap`: the client has text that the log does not. */
  sendPart(messageId: string, text: string): Delivery {
    if (!this.receiver.hasRoom()) return 'full'
    return this.#completeText({ messageId, text }) ? 'sent' : 'gap'
  }

  /** False when the client's part of the message is no prefix of the whole. */
  #completeText({ messageId, text }: { messageId: string; text: string }): boolean {
    const have = this.#bytesOf(messageId)
    const missing = textBehind(text, have)
    if (missing === undefined) return false
    if (missing.bytes > 0) this.receiver.push(chunkJson(this.sessionId, messageId, have, missing))
    this.#openMessage = messageId
    this.#place = { ...this.#place, messageId, offset: have + missing.bytes }
    return true
  }

  #bytesOf(messageId: string): number {
    return this.#place.messageId === messageId ? this.#place.offset : 0
  }
}

/** @throws TypeError for an event without a proper id: the log holds something that we did not write. */
export function numbered(event: StoredEvent): NumberedEvent {
  const id = parseEventId(event.eventId)
  if (!id) throw new TypeError(`an event of the log has the id ${event.eventId}`)
  return { epoch: id.epoch, seq: id.seq, body: event.body }
}

/** Events of one commit: they follow each other without gaps, so that one id tells all of them. @throws TypeError */
export function numberedRun(events: readonly StoredEvent[]): NumberedEvent[] {
  const [first] = events
  if (!first) return []
  const { epoch, seq } = numbered(first)
  return events.map(({ body }, index) => ({ epoch, seq: seq + index, body }))
}

/** A task that was set aside leaves its last message without an end of its own. */
const TASK_END = /^\{"type":"task_(completed|failed|cancelled)"/

/**
 * The finished message that an event carries. Raw clients read text from chunks, so whatever they have not got of it must
 * go out before the end. Other events are told apart without parsing: they are most of the traffic.
 */
function streamEnd(body: string): { messageId: string; text: string } | undefined {
  if (!body.includes('"stream_end"')) return undefined
  const event = JSON.parse(body) as { type?: unknown; messageId?: unknown; text?: unknown }
  if (event.type !== 'stream_end') return undefined
  if (typeof event.messageId !== 'string' || typeof event.text !== 'string') return undefined
  return { messageId: event.messageId, text: event.text }
}

interface MissingText {
  readonly text: string
  readonly bytes: number
}

const CONTINUATION_MASK = 0b1100_0000
const CONTINUATION = 0b1000_0000

/** What follows the first `have` bytes; undefined when there are fewer, or when they end inside a character. */
function textBehind(text: string, have: number): MissingText | undefined {
  if (have === 0) return { text, bytes: Buffer.byteLength(text) }
  const bytes = Buffer.from(text)
  if (have > bytes.length) return undefined
  const next = bytes[have]
  if (next !== undefined && (next & CONTINUATION_MASK) === CONTINUATION) return undefined
  return { text: bytes.toString('utf8', have), bytes: bytes.length - have }
}

/** A rough English average; the exact count stands in `stream_end`. */
const BYTES_PER_TOKEN = 4

function chunkJson(sessionId: SessionId, messageId: string, offset: number, missing: MissingText): string {
  const chunk: StreamChunk = {
    type: 'stream_chunk',
    data: {
      sessionId,
      chunk: missing.text,
      messageId,
      offset,
      metadata: { tokens: Math.ceil(missing.bytes / BYTES_PER_TOKEN) },
    },
  }
  return JSON.stringify(chunk)
}
