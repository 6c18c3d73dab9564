/**
 * A connection that comes back: tries all addresses in turn, waits longer after each failure, and notices a peer that is
 * silently gone. It promises nothing about frames; what must survive a loss is sent again by its user after `onOpen`.
 */
import { ClientError } from './client-error.js'
import { finalError, onRefusal, type Refusal } from './refusal.js'
import type { WebSocketConstructor, WebSocketLike } from './web-socket.js'

/**
 * Longest pause after a loss, three times as long after each failure that follows: the real one is random between nothing
 * and this, so that the clients of a server that went away do not come back together. One that the server names comes before.
 */
const FIRST_PAUSE_MS = 100
const PAUSE_GROWTH = 3
const MAX_PAUSE_MS = 5_000
/** Whoever asks for more than a minute is not believed. */
const MAX_HINT_MS = 60_000
/** An address that has not answered by then is passed over. */
const OPEN_TIMEOUT_MS = 10_000
/** After this much silence the peer is asked for a sign of life, and given as long to answer. */
const SILENCE_MS = 15_000
const OPEN = 1
const NORMAL_CLOSE = 1000
/** The server ended our right to connect: with the same token it would do so again. */
const CLOSE_TOKEN_EXPIRED = 4001

/**
 * A token, or where to get a fresh one before each connection; none when there is nothing to show. A source that throws
 * ends the client, with what it threw as the cause.
 */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>)

export interface LinkOptions {
  readonly urls: readonly string[]
  readonly token: TokenSource | undefined
  readonly webSocket: WebSocketConstructor
}

export interface LinkHandlers {
  /** A connection stands; called for each one. */
  readonly onOpen: () => void
  /** Returns whether it shows that the service works: a server that only lets clients in and drops them must not be stormed. */
  readonly onFrame: (text: string) => boolean
  /** A connection that stood is gone, and the next one is being looked for. */
  readonly onLost: () => void
  /** There will be no further connection. */
  readonly onEnd: (error: ClientError) => void
}

export class ReconnectingLink {
  readonly #options: LinkOptions
  readonly #handlers: LinkHandlers
  #socket: WebSocketLike | undefined
  #failures = 0
  #stood = false
  #next = 0
  #ended = false
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #silenceTimer: ReturnType<typeof setInterval> | undefined
  #heardAt = 0
  #asked = false
  #hintMs: number | undefined

  constructor(options: LinkOptions, handlers: LinkHandlers) {
    this.#options = options
    this.#handlers = handlers
  }

  start(): void {
    // Spread over the addresses from the first connection on.
    this.#next = Math.floor(Math.random() * this.#options.urls.length)
    void this.#open()
  }

  /** False when there is no connection now; the frame is then not sent. */
  send(frame: string): boolean {
    if (this.#socket?.readyState !== OPEN) return false
    this.#socket.send(frame)
    return true
  }

  /** The server asked to wait this long before the next connection. */
  waitBeforeNext(hintMs: number): void {
    this.#hintMs = hintMs
  }

  close(): void {
    this.#end(new ClientError('closed', 'the client was closed'))
  }

  async #open(): Promise<void> {
    const url = this.#options.urls[this.#next % this.#options.urls.length] ?? ''
    this.#next += 1
    let socket: WebSocketLike
    try {
      const { token } = this.#options
      socket = new this.#options.webSocket(withToken(url, typeof token === 'function' ? await token() : token))
    } catch (cause) {
      this.#end(new ClientError('connection_failed', `cannot connect to ${url}`, { cause }))
      return
    }
    if (this.#ended) socket.close(NORMAL_CLOSE)
    else this.#listen(socket, url)
  }

  #listen(socket: WebSocketLike, url: string): void {
    this.#socket = socket
    onRefusal(socket, (refusal) => this.#refused(socket, url, refusal))
    const timeout = setTimeout(() => this.#lost(socket, 0), OPEN_TIMEOUT_MS)
    socket.addEventListener('open', () => {
      clearTimeout(timeout)
      if (this.#socket !== socket) return
      this.#stood = true
      this.#hintMs = undefined
      this.#watchSilence(socket)
      this.#handlers.onOpen()
    })
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket) return
      this.#heardAt = Date.now()
      this.#asked = false
      if (this.#handlers.onFrame(String(data))) this.#failures = 0
    })
    socket.addEventListener('error', () => {
      // A close follows, and that is where a loss is handled.
    })
    socket.addEventListener('close', ({ code }) => {
      clearTimeout(timeout)
      this.#lost(socket, code)
    })
  }

  #refused(socket: WebSocketLike, url: string, refusal: Refusal): void {
    const error = this.#socket === socket ? finalError(refusal, url) : undefined
    if (error) {
      this.#end(error)
      return
    }
    if (refusal.retryAfterMs !== undefined) this.waitBeforeNext(refusal.retryAfterMs)
    socket.close() // A loss like any other: the close that follows is where the next attempt is planned.
  }

  /** A half-open connection never closes by itself: only missing answers tell. */
  #watchSilence(socket: WebSocketLike): void {
    this.#heardAt = Date.now()
    this.#asked = false
    clearInterval(this.#silenceTimer)
    this.#silenceTimer = setInterval(() => {
      if (Date.now() - this.#heardAt < SILENCE_MS) return
      if (this.#asked) this.#lost(socket, 0)
      else this.#asked = this.send('{"type":"ping"}')
    }, SILENCE_MS)
  }

  #lost(socket: WebSocketLike, code: number): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    clearInterval(this.#silenceTimer)
    socket.close()
    if (this.#ended) return
    if (code === CLOSE_TOKEN_EXPIRED && typeof this.#options.token !== 'function') {
      this.#end(new ClientError('token_expired', 'the token has expired: connect again with a new one'))
      return
    }
    this.#failures += 1
    if (this.#stood) this.#handlers.onLost()
    this.#stood = false
    this.#retryTimer = setTimeout(() => void this.#open(), this.#pauseMs())
  }

  #pauseMs(): number {
    const hint = Math.min(this.#hintMs ?? 0, MAX_HINT_MS)
    this.#hintMs = undefined
    const limit = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * PAUSE_GROWTH ** (this.#failures - 1))
    // Many are told the same.
    return hint + Math.random() * limit
  }

  #end(error: ClientError): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#retryTimer)
    clearInterval(this.#silenceTimer)
    this.#socket?.close(NORMAL_CLOSE)
    this.#handlers.onEnd(error)
  }
}

function withToken(url: string, token: string | undefined): string {
  if (token === undefined) return url
  const address = new URL(url)
  address.searchParams.set('token', token)
  return address.href
}
