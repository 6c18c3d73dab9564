/**
 * Server-sent events: what a WebSocket would get as frames, as the body of one answer that has no end. A connection stands
 * behind it as behind every WebSocket, with the same buffer, heartbeat and end; this is only how its frames are written.
 */
import type { Position } from '../../protocol/commands.js'
import type { ErrorReply } from '../../protocol/replies.js'
import type { Connection, Socket } from '../connection.js'
import type { Header } from './answer.js'
import type { Exchange } from './exchange.js'
import { problem } from './problems.js'
import { StreamPosition } from './stream-position.js'

const HEADERS: readonly Header[] = [
  ['content-type', 'text/event-stream'],
  // Proxies that gather answers would hold back what happens now.
  ['x-accel-buffering', 'no'],
]
/** A line that says nothing: it keeps proxies from giving up, and makes the transport write what it has kept. */
const COMMENT = ':\n\n'

export class EventStream implements Socket {
  /** Told when the client has read. */
  connection: Connection | undefined
  readonly #exchange: Exchange
  readonly #position: StreamPosition
  /** What the transport was not given yet. */
  readonly #waiting: string[] = []
  #waitingChars = 0
  /** Of the last piece that the transport could not pass on whole. */
  #stuckChars = 0
  #ending = false

  constructor(exchange: Exchange, from: Position | undefined) {
    this.#exchange = exchange
    this.#position = new StreamPosition(from)
  }

  /** The first frame decides about the status: an error before anything else is a refusal. */
  send(frame: string): void {
    const message = JSON.parse(frame) as { readonly type: string }
    if (!this.#exchange.hasBegun) {
      if (message.type === 'error') {
        this.#exchange.send(problem(message as ErrorReply))
        return
      }
      this.#exchange.begin(200, HEADERS)
      this.#exchange.onRoom(() => this.#drain())
    }
    this.#write(this.#eventOf(message, frame))
  }

  cork(work: () => void): void {
    this.#exchange.cork(work)
  }

  bufferedBytes(): number {
    return this.#waitingChars + this.#stuckChars
  }

  ping(): void {
    if (this.#exchange.hasBegun && this.bufferedBytes() === 0) this.#write(COMMENT)
  }

  end(): void {
    this.#ending = true
    if (!this.#exchange.hasBegun) this.#exchange.close()
    else if (this.bufferedBytes() === 0) this.#exchange.end()
  }

  terminate(): void {
    this.#exchange.close()
  }

  #write(text: string): void {
    if (this.#stuckChars > 0) {
      this.#waiting.push(text)
      this.#waitingChars += text.length
    } else if (!this.#exchange.write(text)) this.#stuckChars = text.length
  }

  #drain(): void {
    if (this.#stuckChars === 0) return
    this.#stuckChars = 0
    // Without a piece of its own the transport keeps what it has.
    if (this.#waiting.length === 0) this.#write(COMMENT)
    while (this.#stuckChars === 0) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#waitingChars -= next.length
      this.#write(next)
    }
    if (this.#ending && this.bufferedBytes() === 0) this.#exchange.end()
    else this.connection?.drained()
  }

  /** `error` is a name that browsers use for something else. */
  #eventOf(message: { readonly type: string; readonly retryAfterMs?: number }, frame: string): string {
    const id = this.#position.after(message)
    const name = message.type === 'error' ? 'problem' : message.type
    const retry = message.retryAfterMs === undefined ? '' : `retry: ${message.retryAfterMs}\n`
    return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}${retry}data: ${frame}\n\n`
  }
}
