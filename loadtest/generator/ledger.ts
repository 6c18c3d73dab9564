/**
 * The books of one session: every request is answered once, answers come in the order of the requests, and events are
 * numbered without gaps. What breaks that is counted, never forgiven.
 */

export interface Counts {
  sent: number
  completed: number
  /** Requests that the server declined, by error code. They are answered, but they are not done. */
  readonly refused: Record<string, number>
  /** Requests whose outcome the server did not know, and that were done after all. They count as refused too. */
  doneLater: number
  /** Requests that the server refused for another reason, and did all the same. */
  doneThough: number
  /** Answers to requests that were answered before. */
  doubled: number
  /** Answers that overtook the answer of an earlier request. */
  reordered: number
  /** Answers to requests that were never sent. */
  unknown: number
  /** Events whose number does not follow on the one before. */
  eventGaps: number
}

export const noCounts = (): Counts => ({
  ...{
    sent: 0,
    completed: 0,
    refused: {},
    doneLater: 0,
    doneThough: 0,
    doubled: 0,
    reordered: 0,
    unknown: 0,
    eventGaps: 0,
  },
})

interface Pending {
  readonly request: number
  /** When it was meant to be sent, by the monotonic clock. */
  readonly at: number
}

/** No refusal: nobody had accepted the request within 30 s, and somebody may yet. */
const UNKNOWN_OUTCOME = 'outcome_unknown'
/** Refused requests of a session that are remembered: more than it may have in flight while a server stalls. */
const MAX_REFUSED = 1_024

export class Ledger {
  readonly #counts: Counts
  /** Oldest first; as short as the requests that one session may have in flight. */
  readonly #pending: Pending[] = []
  /** Refused requests with their code, oldest first, until they are done all the same. */
  readonly #refused = new Map<number, string>()
  #lastRequest = -1
  #lastEvent: number | undefined

  /** Sessions may share `counts`. */
  constructor(counts: Counts) {
    this.#counts = counts
  }

  get inFlight(): number {
    return this.#pending.length
  }

  /** When the requests without an answer were due. */
  get pendingSince(): readonly number[] {
    return this.#pending.map(({ at }) => at)
  }

  /** Number of the last event, or 0. */
  get lastEvent(): number {
    return this.#lastEvent ?? 0
  }

  /** Request numbers of a session rise. */
  sent(request: number, at: number): void {
    this.#pending.push({ request, at })
    this.#lastRequest = request
    this.#counts.sent++
  }

  /** When the request was meant to be sent, or undefined for an answer that nobody waits for. */
  completed(request: number): number | undefined {
    if (this.#doneAfterRefusal(request)) return undefined
    const index = this.#find(request)
    if (index === undefined) return undefined
    if (index > 0) this.#counts.reordered++
    this.#counts.completed++
    return this.#take(index)
  }

  /** A refusal may come before answers to earlier requests: it is given at the door. */
  refused(request: number, code: string): void {
    const index = this.#find(request)
    if (index === undefined) return
    this.#take(index)
    this.#counts.refused[code] = (this.#counts.refused[code] ?? 0) + 1
    this.#refused.set(request, code)
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size <= MAX_REFUSED) return
      this.#refused.delete(oldest)
    }
  }

  #doneAfterRefusal(request: number): boolean {
    const code = this.#refused.get(request)
    if (code === undefined) return false
    this.#refused.delete(request)
    if (code === UNKNOWN_OUTCOME) this.#counts.doneLater++
    else this.#counts.doneThough++
    return true
  }

  event(number: number): void {
    if (this.#lastEvent !== undefined && number !== this.#lastEvent + 1) this.#counts.eventGaps++
    this.#lastEvent = number
  }

  #take(index: number): number | undefined {
    return index === 0 ? this.#pending.shift()?.at : this.#pending.splice(index, 1)[0]?.at
  }

  #find(request: number): number | undefined {
    const index = this.#pending.findIndex((each) => each.request === request)
    if (index >= 0) return index
    if (request <= this.#lastRequest) this.#counts.doubled++
    else this.#counts.unknown++
    return undefined
  }
}

/** Every sentence names something that must not happen in a run without faults; empty when the books are right. */
export function faultsOf(counts: Counts, unanswered: number): string[] {
  const refused = Object.entries(counts.refused).map(([code, count]) => `${count} requests refused as ${code}`)
  const wrong: readonly (readonly [number, string])[] = [
    [unanswered, 'requests without an answer'],
    [counts.doneLater, 'requests of unknown outcome were done later'],
    [counts.doneThough, 'requests were refused and done all the same'],
    [counts.doubled, 'answers came twice'],
    [counts.reordered, 'answers came out of order'],
    [counts.unknown, 'answers to requests that were never sent'],
    [counts.eventGaps, 'gaps in the numbers of events'],
  ]
  return [...refused, ...wrong.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)]
}
