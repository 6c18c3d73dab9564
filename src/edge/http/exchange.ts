/**
 * One request and its answer. The transport forbids to touch a response whose client has gone, so nobody else does: all of
 * it happens here, behind one look at whether it is still open.
 */
import type { HttpResponse } from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Answer, Header } from './answer.js'

/** A body that is larger than it may be. */
export const TOO_LARGE = Symbol('too large')
/** The client left before its body had come. */
export const GONE = Symbol('gone')
export type Body = Buffer | typeof TOO_LARGE | typeof GONE

export class Exchange {
  readonly #res: HttpResponse
  readonly #isHead: boolean
  readonly #headers: readonly Header[]
  readonly #leavers: (() => void)[] = []
  #open = true
  #begun = false

  /** Within the handler of the request. `headers` are part of every answer. */
  constructor(res: HttpResponse, options: { readonly isHead: boolean; readonly headers: readonly Header[] }) {
    this.#res = res
    this.#isHead = options.isHead
    this.#headers = options.headers
    res.onAborted(() => this.#ended())
  }

  /** False when the client has gone, or has its answer. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Whether the answer has begun. */
  get hasBegun(): boolean {
    return this.#begun
  }

  /** Called once when the exchange is over: answered to the end, or left by its client. */
  onEnd(listener: () => void): void {
    if (this.#open) this.#leavers.push(listener)
    else listener()
  }

  /** Within the handler of the request. Never rejects. `onBytes` hears of every piece that is kept. */
  readBody(maxBytes: number, onBytes: (bytes: number) => boolean): Promise<Body> {
    return new Promise((resolve) => {
      const pieces: Buffer[] = []
      let bytes = 0
      this.onEnd(() => resolve(GONE))
      this.#res.onData((chunk, isLast) => {
        bytes += chunk.byteLength
        if (bytes > maxBytes || !onBytes(chunk.byteLength)) return resolve(TOO_LARGE)
        // Copied: the memory of a piece is taken back when this returns.
        pieces.push(Buffer.from(new Uint8Array(chunk)))
        if (isLast) resolve(Buffer.concat(pieces))
      })
    })
  }

  /** Answers; nothing happens when the client has gone or was answered already. */
  send({ status, type, headers = [], body }: Answer): void {
    if (!this.#open || this.#begun) return
    this.#begun = true
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    this.#res.cork(() => {
      this.#writeHead(status, type === undefined ? headers : [['content-type', type], ...headers])
      if (this.#isHead || bytes.byteLength === 0) {
        this.#res.endWithoutBody(this.#isHead ? bytes.byteLength : 0)
        this.#ended()
      } else this.#sendBody(bytes)
    })
  }

  /** Begins an answer that has no end yet. */
  begin(status: number, headers: readonly Header[]): void {
    if (!this.#open || this.#begun) return
    this.#begun = true
    this.#res.cork(() => this.#writeHead(status, headers))
  }

  /** Writes a piece of an answer that was begun; false when the client must read before more is written. */
  write(text: string): boolean {
    if (!this.#open) return false
    let isTaken = false
    this.#res.cork(() => {
      isTaken = this.#res.write(text)
    })
    return isTaken
  }

  /** Called when the client has read what was written. */
  onRoom(listener: () => void): void {
    if (!this.#open) return
    this.#res.onWritable(() => {
      listener()
      return true
    })
  }

  cork(work: () => void): void {
    if (this.#open) this.#res.cork(work)
  }

  /** Ends an answer that was begun. */
  end(): void {
    if (!this.#open) return
    this.#res.cork(() => this.#res.end())
    this.#ended()
  }

  /** Drops the connection. */
  close(): void {
    if (this.#open) this.#res.close()
  }

  #writeHead(status: number, headers: readonly Header[]): void {
    this.#res.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`)
    for (const [name, value] of this.#headers) this.#res.writeHeader(name, value)
    for (const [name, value] of headers) this.#res.writeHeader(name, value)
  }

  /** As fast as the client reads; one that reads nothing for ten seconds is dropped by the transport. */
  #sendBody(bytes: Uint8Array): void {
    const start = this.#res.getWriteOffset()
    const [isSent, hasEnded] = this.#res.tryEnd(bytes, bytes.byteLength)
    if (hasEnded) this.#ended()
    if (isSent || hasEnded) return
    this.#res.onWritable((offset) => {
      const [isTaken, isDone] = this.#res.tryEnd(bytes.subarray(offset - start), bytes.byteLength)
      if (isDone) this.#ended()
      return isTaken
    })
  }

  #ended(): void {
    if (!this.#open) return
    this.#open = false
    for (const listener of this.#leavers.splice(0)) listener()
  }
}
