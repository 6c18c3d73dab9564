/**
 * Order of versions: a shard never moves onto a node that is older than the one that wrote it.
 */

/** Compares the numbers of `1.20.3`; what follows a `-` or `+` is ignored, missing numbers are 0. */
export function isOlder(version: string, than: string): boolean {
  const [left, right] = [numbers(version), numbers(than)]
  for (let part = 0; part < Math.max(left.length, right.length); part++) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

const numbers = (version: string): number[] =>
  (version.split(/[-+]/)[0] ?? '').split('.').map((part) => Number.parseInt(part, 10) || 0)
