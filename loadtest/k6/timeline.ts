/**
 * A run second by second, from the lines that its virtual users say.
 */
const MARK = '@second '

export interface TimelinePoint {
  readonly second: number
  /** Sums over the virtual users: what they counted in this second. */
  readonly counts: Readonly<Record<string, number>>
  /** In ms; the worse of the virtual users. Undefined when nothing came in this second. */
  readonly p50: number | undefined
  readonly p99: number | undefined
}

interface Line {
  readonly second: number
  readonly p50?: number
  readonly p99?: number
  readonly [count: string]: number | undefined
}

export class Timeline {
  readonly #points = new Map<number, TimelinePoint>()

  /** In the order of time. */
  get points(): readonly TimelinePoint[] {
    return [...this.#points.values()].toSorted((a, b) => a.second - b.second)
  }

  /** True when the line was one of these. */
  read(line: string): boolean {
    if (!line.startsWith(MARK)) return false
    const { second, p50, p99, ...counts } = JSON.parse(line.slice(MARK.length)) as Line
    const before = this.#points.get(second)
    const sums: Record<string, number> = { ...before?.counts }
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + (count ?? 0)
    this.#points.set(second, { second, counts: sums, p50: larger(before?.p50, p50), p99: larger(before?.p99, p99) })
    return true
  }
}

const larger = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)
