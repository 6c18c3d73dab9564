/**
 * When quick commands are sent: at a fixed rate, whatever the service does. What is due while nobody can take it is sent
 * as soon as somebody can.
 */

/** What timers can do. */
const TICK_MS = 5
/** Beyond this much of overdue load the books would only measure how long the service was away. */
const MAX_OWED_SECONDS = 30

export class Pace {
  readonly #rate: number
  readonly #send: () => boolean
  #owed = 0
  #last = 0
  #timer: NodeJS.Timeout | undefined

  /** `send` sends one command and returns whether anybody could take it. */
  constructor(rate: number, send: () => boolean) {
    this.#rate = rate
    this.#send = send
  }

  start(): void {
    this.#last = performance.now()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const at = performance.now()
    this.#owed = Math.min(this.#owed + ((at - this.#last) * this.#rate) / 1_000, this.#rate * MAX_OWED_SECONDS)
    this.#last = at
    // Twice the rate at most: who was away is not buried when it comes back.
    let most = Math.ceil((2 * this.#rate * TICK_MS) / 1_000)
    for (; this.#owed >= 1 && most > 0 && this.#send(); most--) this.#owed--
  }
}
