/**
 * What the rules find: how much each guarantee was checked on, and what broke it, with the lines that show it.
 */

const PROMISES = {
  G1: 'an accepted command ends in exactly one visible event',
  G2: 'a command id takes effect at most once',
  G3: 'one writer: event ids rise without gaps, Redis and Postgres agree',
  G4: 'a client gets exactly the missed suffix, or a reset',
  G5: 'what a failover of Redis lost is never silently replaced',
  G6: 'commands of a session run in the order of acceptance; busy means never',
  G7: 'a crash repeats at most one model call; text seen stands',
  G8: 'a once tool never runs twice',
  G9: 'a worker that lost touch starts nothing',
} as const

export type Guarantee = keyof typeof PROMISES
const GUARANTEES = Object.keys(PROMISES) as Guarantee[]

export interface Violation {
  readonly what: string
  /** The lines of the journals that show it, in words. */
  readonly excerpt: readonly string[]
}

export interface GuaranteeVerdict {
  readonly guarantee: Guarantee
  readonly promise: string
  /** Cases that the rule was applied to: 0 says that the run proves nothing about it. */
  readonly checked: number
  readonly violated: number
  /** The first of the violations. */
  readonly examples: readonly Violation[]
}

/** A broken run breaks everywhere: the first cases tell why. */
const MAX_EXAMPLES = 20

interface Tally {
  checked: number
  violated: number
  readonly examples: Violation[]
}

export class Findings {
  readonly #tallies = new Map<Guarantee, Tally>(
    GUARANTEES.map((guarantee) => [guarantee, { checked: 0, violated: 0, examples: [] }]),
  )

  checked(guarantee: Guarantee, cases = 1): void {
    this.#of(guarantee).checked += cases
  }

  /** `excerpt` is asked for only while examples are kept. */
  violated(guarantee: Guarantee, what: string, excerpt: () => readonly string[]): void {
    const tally = this.#of(guarantee)
    tally.violated += 1
    if (tally.examples.length < MAX_EXAMPLES) tally.examples.push({ what, excerpt: excerpt() })
  }

  verdicts(): GuaranteeVerdict[] {
    return GUARANTEES.map((guarantee) => ({ guarantee, promise: PROMISES[guarantee], ...this.#of(guarantee) }))
  }

  #of(guarantee: Guarantee): Tally {
    const tally = this.#tallies.get(guarantee)
    if (!tally) throw new RangeError(`no guarantee ${guarantee}`)
    return tally
  }
}

/** A time of the journals, in seconds since the run began. */
export const timeText = (at: number, began: number): string =>
  Number.isNaN(at) ? 'never' : `${((at - began) / 1_000).toFixed(3)} s`
