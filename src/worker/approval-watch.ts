/**
 * Turns of this worker that wait for a person. Postgres knows what was decided; it is asked from time to time for all of
 * them at once, and at once for one whose answer was announced by a command.
 */
import type { Approval, Decided } from '../storage/approvals.js'

/** How late an answer may come whose command was lost, and how late a request expires. */
const LOOK_MS = 2_000
/** Approvals that are asked for at once. */
const BATCH = 500

export interface ApprovalWatchOptions {
  /** Which of these are decided; those whose time is over are. */
  readonly settled: (ids: readonly string[]) => Promise<readonly Decided[]>
  readonly logger: { warn(fields: object, text: string): void }
}

type Waiter = (decided: Decided) => void

export class ApprovalWatch {
  readonly #options: ApprovalWatchOptions
  readonly #waiters = new Map<string, Waiter>()
  #timer: NodeJS.Timeout | undefined
  #looking = false

  constructor(options: ApprovalWatchOptions) {
    this.#options = options
  }

  /** Turns that wait now. */
  get waiting(): number {
    return this.#waiters.size
  }

  start(): void {
    this.#timer = setInterval(() => void this.#lookAtAll(), LOOK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Resolves when it is decided. @throws the signal's reason when aborted */
  async decided(approval: Approval, signal: AbortSignal): Promise<Decided> {
    if (approval.state !== 'pending') return { ...approval, state: approval.state }
    signal.throwIfAborted()
    const ended = new AbortController()
    try {
      return await new Promise((resolve, reject) => {
        this.#waiters.set(approval.id, resolve)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true, signal: ended.signal })
        // It may have been decided between the asking and the waiting.
        void this.look([approval.id])
      })
    } finally {
      ended.abort()
      this.#waiters.delete(approval.id)
    }
  }

  /** Looks now whether these are decided. Never rejects. */
  async look(ids: readonly string[]): Promise<void> {
    const waiting = ids.filter((id) => this.#waiters.has(id))
    if (waiting.length === 0) return
    try {
      for (const decided of await this.#options.settled(waiting)) this.#waiters.get(decided.id)?.(decided)
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'approvals could not be read; they are read again')
    }
  }

  async #lookAtAll(): Promise<void> {
    // One that hangs must not be followed by others.
    if (this.#looking) return
    this.#looking = true
    const ids = [...this.#waiters.keys()]
    for (let from = 0; from < ids.length; from += BATCH) await this.look(ids.slice(from, from + BATCH))
    this.#looking = false
  }
}
