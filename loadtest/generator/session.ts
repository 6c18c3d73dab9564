/**
 * One connection and the session behind it: says what its pace tells it to, and keeps the books.
 */
import type { Dialect, Listener } from './dialect.js'
import { type Counts, Ledger } from './ledger.js'
import type { Meter } from './meter.js'
import { LoadSocket, type Target } from './socket.js'

/** A spawn waits for Postgres, and a thousand of them for each other. */
const READY_TIMEOUT_MS = 30_000

export interface SessionOptions {
  readonly dialect: Dialect
  readonly target: Target
  readonly token: string
  readonly counts: Counts
  readonly meter: Meter
  /** A request was answered, one way or the other. */
  readonly onAnswered: () => void
  /** Nothing will come of this session any more. */
  readonly onLost: (reason: string) => void
}

export class LoadSession implements Listener {
  readonly ledger: Ledger
  readonly #options: SessionOptions
  #socket: LoadSocket | undefined
  #sessionId = ''
  #open = true
  #becameReady: () => void = () => {}
  #becameLost: (error: Error) => void = () => {}

  constructor(options: SessionOptions) {
    this.#options = options
    this.ledger = new Ledger(options.counts)
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Resolves when requests may be sent. @throws Error when that takes too long or the server refuses. */
  async start(): Promise<void> {
    const { dialect, target, token } = this.#options
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no session within 30 s')), READY_TIMEOUT_MS)
      this.#becameReady = () => resolve(clearTimeout(timer))
      this.#becameLost = (error) => {
        clearTimeout(timer)
        reject(error)
      }
    })
    ready.catch(() => {}) // Opening the socket may fail first, with the same reason.
    this.#socket = new LoadSocket(target, {
      onText: (text) => dialect.read(text, this),
      onLost: (reason) => this.failed(reason),
    })
    await this.#socket.open(dialect.path, token)
    dialect.open(this)
    await ready
  }

  /** `dueAt` is when it should have been sent, by the monotonic clock. */
  send(request: number, dueAt: number): void {
    this.ledger.sent(request, dueAt)
    this.#socket?.send(this.#options.dialect.request(this.#sessionId, request))
  }

  close(): void {
    this.#open = false
    this.#socket?.close()
  }

  ready(sessionId: string): void {
    this.#sessionId = sessionId
    this.#becameReady()
  }

  completed(request: number): void {
    const dueAt = this.ledger.completed(request)
    if (dueAt === undefined) return
    this.#options.meter.answered(dueAt)
    this.#options.onAnswered()
  }

  refused(request: number, code: string): void {
    this.ledger.refused(request, code)
    this.#options.onAnswered()
  }

  event(number: number): void {
    this.ledger.event(number)
  }

  say(text: string): void {
    this.#socket?.send(text)
  }

  failed(reason: string): void {
    if (!this.#open) return
    this.close()
    this.#becameLost(new Error(reason))
    this.#options.onLost(reason)
  }
}
