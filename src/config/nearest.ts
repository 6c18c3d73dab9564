/**
 * The name that was probably meant.
 */

/** More changed letters than this, per letters of the name, make another word. */
const MAX_CHANGED_SHARE = 0.34

/** The candidate nearest to `name`; undefined when none is near. Letter case, `_` and `-` do not count. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let fewest = Math.max(1, Math.floor(name.length * MAX_CHANGED_SHARE)) + 1
  for (const candidate of candidates) {
    const changes = distance(plain(name), plain(candidate))
    if (changes >= fewest) continue
    fewest = changes
    best = candidate
  }
  return best
}

/** ` (did you mean DAEMON_PORT?)`, or nothing. */
export function hint(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates)
  return found === undefined ? '' : ` (did you mean ${found}?)`
}

const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '')

/** Letters to insert, drop, change or swap with the next (Levenshtein with swaps), row by row. */
function distance(from: string, to: string): number {
  let beforeLast: readonly number[] = []
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      const ways = [
        (last[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1),
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      ]
      current.push(Math.min(...ways))
    }
    beforeLast = last
    last = current
  }
  return last[to.length] ?? 0
}
