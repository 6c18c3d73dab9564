/**
 * The limit of messages counted in the memory of this process: for one process alone, and for an edge while Redis does
 * not answer. Counts as `redis/lua/take-points.lua` does.
 */
import type { SlidingLimit, Taken } from '../redis/message-counts.js'

/** Each costs some 300 bytes; beyond this the one that was silent longest may begin anew. */
const MAX_NAMES = 100_000

interface Slice {
  readonly number: number
  points: number
}

export class SlidingWindow {
  /** Who was last heard of stands last. */
  readonly #names = new Map<string, Slice[]>()

  constructor(private readonly maxNames = MAX_NAMES) {}

  /** Names that are remembered. */
  get size(): number {
    return this.#names.size
  }

  /** Takes as many of the points that are wanted as are left; `now` on a clock that only goes forward. */
  take(name: string, wanted: number, { points, sliceMs, slices }: SlidingLimit, now = performance.now()): Taken {
    const slice = Math.floor(now / sliceMs)
    // Later ones are of another limit, whose slices were shorter.
    const counts = ({ number }: Slice): boolean => number > slice - slices && number <= slice
    const counting = (this.#names.get(name) ?? []).filter(counts)
    const used = counting.reduce((sum, each) => sum + each.points, 0)
    const granted = Math.max(0, Math.min(wanted, points - used))
    if (granted > 0) add(counting, slice, granted)
    this.#names.delete(name)
    this.#names.set(name, counting)
    this.#forget(slice - slices)
    const oldest = counting[0]?.number ?? slice
    return { granted, nextInMs: (oldest + slices) * sliceMs - now }
  }

  /** Those that were silent long enough, and of too many the one that was silent longest. */
  #forget(upTo: number): void {
    for (const [name, taken] of this.#names) {
      const last = taken.at(-1)?.number ?? Number.NEGATIVE_INFINITY
      if (this.#names.size <= this.maxNames && last > upTo) return
      this.#names.delete(name)
    }
  }
}

function add(slices: Slice[], number: number, points: number): void {
  const last = slices.at(-1)
  if (last?.number === number) last.points += points
  else slices.push({ number, points })
}
