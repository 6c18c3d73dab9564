/**
 * Commands that a worker has accepted a moment ago. A store that fails over may forget its last moments: then they are
 * doubted, and sent again under their ids until a stream has them. A worker that has one says so.
 */
import type { CommandStream } from '../bus/bus.js'
import type { SubmissionRequest } from '../bus/command.js'
import type { SeldomLog } from '../telemetry/seldom-log.js'

const KEEP_MS = 5_000
/** Bodies that are kept at most: about 5 s of a busy edge. */
const MAX_CHARS = 32 * 1024 * 1024

interface Recent {
  readonly submission: SubmissionRequest
  readonly acceptedAt: number
  state: 'kept' | 'doubted' | 'sending'
}

export interface RecentCommandsOptions {
  readonly deliver: (submission: SubmissionRequest) => ReturnType<CommandStream['submit']>
  /** Whether the same command is on its way once more: then that decides. */
  readonly isWaiting: (key: string) => boolean
  readonly trouble: Pick<SeldomLog, 'warn'>
}

export class RecentCommands {
  readonly #options: RecentCommandsOptions
  /** Oldest acceptance first. */
  readonly #recent = new Map<string, Recent>()
  #chars = 0

  constructor(options: RecentCommandsOptions) {
    this.#options = options
  }

  add(key: string, submission: SubmissionRequest): void {
    this.#forget(key)
    this.#recent.set(key, { submission, acceptedAt: performance.now(), state: 'kept' })
    this.#chars += submission.body.length
  }

  /** The store may have lost all of them: they are sent again, those of one session in their order. */
  doubt(): void {
    for (const recent of this.#recent.values()) recent.state = 'doubted'
    this.#sendDoubted()
  }

  /** Sends again what no stream has taken yet, and forgets what the store has kept for long enough until `intactAt`. */
  sweep(intactAt: number): void {
    this.#sendDoubted()
    for (const [key, { acceptedAt, state }] of this.#recent) {
      const isKept = acceptedAt <= intactAt - KEEP_MS && state === 'kept'
      if (!isKept && this.#chars <= MAX_CHARS) break
      this.#forget(key)
    }
  }

  #sendDoubted(): void {
    const { deliver, isWaiting, trouble } = this.#options
    for (const [key, recent] of this.#recent) {
      if (recent.state !== 'doubted' || isWaiting(key)) continue
      recent.state = 'sending'
      deliver(recent.submission).then(
        ({ status }) => {
          if (recent.state === 'sending') recent.state = status === 'ok' ? 'kept' : 'doubted'
        },
        (error: unknown) => {
          recent.state = 'doubted'
          trouble.warn({ err: error }, 'recently accepted commands could not be sent again yet')
        },
      )
    }
  }

  #forget(key: string): void {
    const recent = this.#recent.get(key)
    if (!recent) return
    this.#recent.delete(key)
    this.#chars -= recent.submission.body.length
  }
}
