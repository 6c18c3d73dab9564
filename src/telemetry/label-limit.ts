/**
 * Keeps a label that clients choose from growing without end: every value is a series that is kept until the process ends.
 */

/** Tenants run tens of orchestrators; a hundred, times the families that carry the label, is what a scrape bears. */
export const MAX_ORCHESTRATORS = 100
/** Six tools of our own and room for others; the rest are names that a model made up. */
export const MAX_TOOLS = 64
/** Models that one process has called. */
export const MAX_MODELS = 64
/** What values beyond the limit are counted as. */
const OTHER = 'other'

/** The first `limit` values stay as they are, all later ones become `other`. */
export class LabelLimit {
  readonly #known = new Set<string>()

  constructor(private readonly limit: number) {}

  of(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.limit) return OTHER
    this.#known.add(value)
    return value
  }
}
