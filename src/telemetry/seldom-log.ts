/**
 * Says the same thing seldom: what goes wrong for thousands of commands at once would cost more to write down than to mend.
 */

/** Of each sentence one line in so long; the next one tells how often it was meant. */
const EVERY_MS = 5_000

interface Writer {
  warn(fields: object, message: string): void
}

interface Said {
  at: number
  /** Times that it was not said since. */
  unsaid: number
}

export class SeldomLog {
  /** By sentence: as many as the program has, not as its users make. */
  readonly #said = new Map<string, Said>()

  constructor(private readonly log: Writer) {}

  /** `message` is a constant sentence; what differs stands in `fields`. */
  warn(fields: object, message: string): void {
    const now = performance.now()
    const last = this.#said.get(message)
    if (last && now - last.at < EVERY_MS) {
      last.unsaid += 1
      return
    }
    this.#said.set(message, { at: now, unsaid: 0 })
    this.log.warn(last && last.unsaid > 0 ? { ...fields, timesBefore: last.unsaid } : fields, message)
  }
}
