/**
 * When requests are sent. In a closed loop every session waits for its answer, which finds the peak. In an open loop
 * requests are due at fixed times whatever the server does, so a stall shows in the latency of everything that was due
 * meanwhile.
 */

/** A session as its pace sees it. */
export interface Paced {
  readonly isOpen: boolean
  readonly ledger: { readonly inFlight: number }
  send(request: number, dueAt: number): void
}

export interface Pace {
  start(): void
  /** Sends nothing any more. */
  stop(): void
  /** Session `index` has got an answer. */
  answered(index: number): void
  /** When the requests were due that were never sent. */
  notSent(): readonly number[]
}

export class ClosedLoop implements Pace {
  readonly #sessions: readonly Paced[]
  #requests = 0
  #running = false

  constructor(sessions: readonly Paced[]) {
    this.#sessions = sessions
  }

  start(): void {
    this.#running = true
    for (const [index] of this.#sessions.entries()) this.answered(index)
  }

  stop(): void {
    this.#running = false
  }

  answered(index: number): void {
    const session = this.#sessions[index]
    if (this.#running && session?.isOpen) session.send(this.#requests++, performance.now())
  }

  notSent(): readonly number[] {
    return []
  }
}

/** Requests of one session that may be without an answer: a second or more at any rate that makes sense. */
const MAX_IN_FLIGHT = 64
/** What timers can do; it is part of the latency that is shown. */
const TICK_MS = 1

export class OpenLoop implements Pace {
  readonly #sessions: readonly Paced[]
  readonly #intervalMs: number
  /** Requests sent so far, by session. The `turn`-th of session `index` has the number `turn × sessions + index`. */
  readonly #turns: number[]
  /** Requests that are due and wait for an answer to earlier ones, by session. */
  readonly #owed: number[]
  #startedAt = 0
  #due = 0
  #timer: NodeJS.Timeout | undefined

  /** `rate` is in requests a second over all sessions. */
  constructor(sessions: readonly Paced[], rate: number) {
    this.#sessions = sessions
    this.#intervalMs = 1000 / rate
    this.#turns = sessions.map(() => 0)
    this.#owed = sessions.map(() => 0)
  }

  start(): void {
    this.#startedAt = performance.now()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  answered(index: number): void {
    if (this.#timer !== undefined) this.#send(index)
  }

  notSent(): readonly number[] {
    return this.#owed.flatMap((owed, index) => {
      const turn = this.#turns[index] ?? 0
      return Array.from({ length: owed }, (_, later) => this.#dueAt((turn + later) * this.#sessions.length + index))
    })
  }

  #tick(): void {
    const now = performance.now()
    for (; this.#dueAt(this.#due) <= now; this.#due++) {
      const index = this.#due % this.#sessions.length
      this.#owed[index] = (this.#owed[index] ?? 0) + 1
      this.#send(index)
    }
  }

  #send(index: number): void {
    const session = this.#sessions[index]
    const owed = this.#owed[index] ?? 0
    if (owed === 0 || !session?.isOpen || session.ledger.inFlight >= MAX_IN_FLIGHT) return
    const turn = this.#turns[index] ?? 0
    const request = turn * this.#sessions.length + index
    this.#owed[index] = owed - 1
    this.#turns[index] = turn + 1
    session.send(request, this.#dueAt(request))
  }

  #dueAt(request: number): number {
    return this.#startedAt + request * this.#intervalMs
  }
}
