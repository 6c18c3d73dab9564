/**
 * Writes down what one client sends and receives. It is given raw frames, so that it sees repetitions and holes which a
 * client library would put right.
 */
import type { ServerMessage } from '../protocol/events.js'
import { fingerprint } from './fingerprint.js'
import { type ClientLine, type CommandType, now } from './journal.js'

/** Messages whose text is being received: a session streams one at a time. */
interface OpenText {
  readonly message: string
  hash: number
}

export interface SentCommand {
  readonly command: string
  readonly type: CommandType
  readonly session?: string
  readonly poison?: true
}

export class ClientRecorder {
  /** By session. */
  readonly #texts = new Map<string, OpenText>()
  /** Sessions whose `subscribe` has not been answered: what comes of them belongs to the time before. */
  readonly #asking = new Set<string>()

  constructor(
    readonly client: string,
    private readonly append: (line: ClientLine) => void,
    private readonly clock: () => number = now,
  ) {}

  connected(edge: string): void {
    this.append({ kind: 'connected', client: this.client, at: this.clock(), edge })
  }

  disconnected(): void {
    this.append({ kind: 'disconnected', client: this.client, at: this.clock() })
  }

  /** Call it before the frame leaves. */
  sent(command: SentCommand): void {
    this.append({ kind: 'sent', client: this.client, at: this.clock(), ...command })
  }

  /** Call it before `subscribe` leaves. */
  subscribing(session: string): void {
    this.#asking.add(session)
  }

  left(session: string): void {
    this.#texts.delete(session)
    this.append({ kind: 'left', client: this.client, at: this.clock(), session })
  }

  /** `complete`: connected, and nothing more came for long enough. */
  closed(complete: boolean): void {
    this.append({ kind: 'closed', client: this.client, at: this.clock(), complete })
  }

  /** Takes a frame as it arrived, and its content. Returns whether the client should act on it. */
  frame(text: string, message: ServerMessage): boolean {
    switch (message.type) {
      case 'command_accepted': {
        const { commandId: command, sessionId: session, duplicate } = message
        this.append({ kind: 'accepted', client: this.client, at: this.clock(), command, session, duplicate })
        return true
      }
      case 'error':
        this.#refused(message.commandId, message.code)
        return true
      case 'subscribed':
        this.#subscribed(message.sessionId, message.eventId, message.reset)
        return true
      case 'stream_chunk':
        return this.#text(message.data)
      default:
        return 'eventId' in message ? this.#event(text, message) : true
    }
  }

  #refused(command: string | undefined, code: string): void {
    if (command !== undefined) this.append({ kind: 'refused', client: this.client, at: this.clock(), command, code })
  }

  #subscribed(session: string, event: string, reset: boolean): void {
    this.#asking.delete(session)
    if (reset) this.#texts.delete(session)
    this.append({ kind: 'subscribed', client: this.client, at: this.clock(), session, event, reset })
  }

  #text({ sessionId: session, messageId, offset, chunk }: Extract<ServerMessage, { type: 'stream_chunk' }>['data']) {
    if (this.#asking.has(session)) return false
    const open = this.#texts.get(session)
    const continues = offset > 0 && open?.message === messageId
    const hash = fingerprint(chunk, continues ? open.hash : undefined)
    this.#texts.set(session, { message: messageId, hash })
    const bytes = Buffer.byteLength(chunk)
    this.append({
      kind: 'text',
      client: this.client,
      at: this.clock(),
      session,
      message: messageId,
      offset,
      bytes,
      hash,
    })
    return true
  }

  #event(text: string, message: Extract<ServerMessage, { eventId: string; timestamp: string }>): boolean {
    const { sessionId: session, eventId: event, type } = message
    if (this.#asking.has(session)) return false
    this.append({ kind: 'event', client: this.client, at: this.clock(), session, event, type, hash: fingerprint(text) })
    return true
  }
}
