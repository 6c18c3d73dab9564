/**
 * Text of the open message that waits to be written: gathered for the present interval, cut so that no piece is too long
 * for one write and no character is torn.
 */
import type { FlushInterval } from './flush-interval.js'

/** One flush; longer text goes out in several. */
export const TEXT_CHARS = 32_768

export interface GatheredText {
  readonly text: string
  /** Of the model's stream. */
  readonly pieces: number
  /** When it was to be written, by the monotonic clock. */
  readonly dueAt: number
  /** For how long its first piece was held back on purpose. */
  readonly gatheredMs: number
}

export class TextBuffer {
  readonly #interval: Pick<FlushInterval, 'ms'>
  readonly #onDue: () => void
  #text = ''
  #pieces = 0
  #timer: NodeJS.Timeout | undefined
  /** When the first piece came, and when all must go. */
  #since = 0
  #dueAt = 0
  #takenAt = Number.NEGATIVE_INFINITY

  /** `onDue` is expected to take what is there. */
  constructor(interval: Pick<FlushInterval, 'ms'>, onDue: () => void) {
    this.#interval = interval
    this.#onDue = onDue
  }

  /** The first piece after a pause is due at once. */
  add(piece: string): void {
    const now = performance.now()
    if (this.#pieces === 0) {
      this.#since = now
      this.#dueAt = Math.max(now, this.#takenAt + this.#interval.ms)
    }
    this.#text += piece
    this.#pieces += 1
    if (now >= this.#dueAt || this.#text.length >= TEXT_CHARS) this.#onDue()
    else this.#timer ??= setTimeout(this.#onDue, this.#dueAt - now)
  }

  /** What is there, also before it is due. Half a surrogate pair waits for its other half, except at the end. */
  take(atEnd: boolean): GatheredText | undefined {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const text = !atEnd && isHighSurrogate(this.#text) ? this.#text.slice(0, -1) : this.#text
    if (text === '') return undefined
    const now = performance.now()
    const dueAt = Math.min(now, this.#dueAt)
    const taken = { text, pieces: this.#pieces, dueAt, gatheredMs: Math.max(0, dueAt - this.#since) }
    this.#text = this.#text.slice(text.length)
    this.#pieces = 0
    this.#takenAt = now
    return taken
  }

  close(): void {
    clearTimeout(this.#timer)
  }
}

const isHighSurrogate = (text: string): boolean => {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}
