/**
 * What a client has seen of one session, judged as it arrives: text without a hole or a repetition, events numbered
 * without gaps, and in the end exactly what the log says.
 */
import { eventIdOf } from '../../src/client/continuity.js'
import type {
  LoggedEvent,
  ServerMessage,
  SessionTakeover,
  StreamChunk,
  StreamEnd,
  TaskCancelled,
  TaskCompleted,
  TaskFailed,
} from '../../src/protocol/events.js'
import { parseEventId } from '../../src/protocol/ids.js'

export type TaskEnd = TaskCompleted | TaskFailed | TaskCancelled

/** An event as the log holds it. */
export interface StoredEvent {
  readonly seq: number
  readonly body: LoggedEvent
}

export class SessionRecord {
  /** What was wrong, as sentences; empty when all is well. */
  readonly faults: string[] = []
  readonly takeovers: SessionTakeover[] = []
  readonly ends: StreamEnd[] = []
  taskEnd: TaskEnd | undefined
  /** Longest time between two messages while the task ran, in ms. */
  longestSilenceMs = 0
  readonly #texts = new Map<string, string>()
  readonly #offsets = new Map<string, number>()
  #seq = 0
  #epoch = 0
  #heardAt = 0

  constructor(readonly id: string) {}

  /** All text received, message after message. */
  get text(): string {
    return [...this.#texts.values()].join('\n')
  }

  get events(): number {
    return this.#seq
  }

  /** Takes the next message of the session. */
  take(message: ServerMessage, atMs: number): void {
    if (this.#heardAt > 0) this.longestSilenceMs = Math.max(this.longestSilenceMs, atMs - this.#heardAt)
    this.#heardAt = atMs
    if (message.type === 'stream_chunk') this.#takeText(message)
    if (message.type === 'subscribed' && message.reset) this.faults.push('the story was reset')
    const eventId = eventIdOf(message)
    if (eventId !== undefined) this.#takeNumber(eventId)
    if (message.type === 'stream_end') this.#takeEnd(message)
    if (message.type === 'session_takeover') this.takeovers.push(message)
    if (message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled') {
      this.taskEnd = message
    }
  }

  /** Compares with the log, read from where it is kept. */
  compareWithLog(stored: readonly StoredEvent[]): void {
    const gap = stored.findIndex(({ seq }, index) => seq !== index + 1)
    if (gap >= 0) this.faults.push(`the stored log has a gap before its event ${stored[gap]?.seq}`)
    if (stored.length < this.#seq) this.faults.push(`${this.#seq} events were seen, ${stored.length} are stored`)
    const ends = stored.flatMap(({ body }) => (body.type === 'stream_end' ? [body] : []))
    if (ends.length !== this.#texts.size) {
      this.faults.push(`${this.#texts.size} messages were seen, ${ends.length} are stored`)
    }
    for (const { messageId, text } of ends) {
      if (!sameBytes(this.#texts.get(messageId), text))
        this.faults.push(`message ${messageId} differs from the stored log`)
    }
  }

  #takeText({ data: { messageId, offset, chunk } }: StreamChunk): void {
    const expected = this.#offsets.get(messageId) ?? 0
    if (offset !== expected) this.faults.push(`text at offset ${offset} came where ${expected} was due`)
    this.#offsets.set(messageId, offset + Buffer.byteLength(chunk))
    this.#texts.set(messageId, (this.#texts.get(messageId) ?? '') + chunk)
  }

  #takeNumber(eventId: string): void {
    const id = parseEventId(eventId)
    if (id === undefined || id.seq !== this.#seq + 1 || id.epoch < this.#epoch) {
      this.faults.push(`event ${eventId} came after ${this.#epoch}-${this.#seq}`)
    }
    this.#seq = id?.seq ?? this.#seq
    this.#epoch = id?.epoch ?? this.#epoch
  }

  #takeEnd(end: StreamEnd): void {
    this.ends.push(end)
    // A message may consist of tool calls only: then nothing was streamed.
    const seen = this.#texts.get(end.messageId) ?? ''
    this.#texts.set(end.messageId, seen)
    if (!sameBytes(seen, end.text)) this.faults.push(`the text of message ${end.messageId} is not what was logged`)
  }
}

const sameBytes = (seen: string | undefined, logged: string): boolean =>
  seen !== undefined && Buffer.from(seen).equals(Buffer.from(logged))
