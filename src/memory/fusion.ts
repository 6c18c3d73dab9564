/**
 * Several rankings made one: reciprocal rank fusion, which needs no common scale. Pure.
 */

/** How little the first places count more than those behind them: the value of the method's authors. */
const K = 60

export interface Ranking {
  /** Best first. */
  readonly hits: readonly RankedHit[]
  readonly weight: number
}

interface RankedHit {
  readonly id: string
  readonly validFrom: Date
}

export interface FusedHit {
  readonly id: string
  /** From 0 to 1, where 1 is first in every ranking. */
  readonly score: number
}

/** Best first; the newer one first where two are equal. */
export function fuse(rankings: readonly Ranking[]): readonly FusedHit[] {
  const most = rankings.reduce((sum, { weight }) => sum + weight / (K + 1), 0)
  const sums = new Map<string, { score: number; readonly at: number }>()
  for (const { hits, weight } of rankings) {
    hits.forEach(({ id, validFrom }, rank) => {
      const sum = sums.get(id) ?? { score: 0, at: validFrom.getTime() }
      sum.score += weight / (K + rank + 1) / most
      sums.set(id, sum)
    })
  }
  return [...sums]
    .sort(([, a], [, b]) => b.score - a.score || b.at - a.at)
    .map(([id, { score }]) => ({ id, score: Math.min(score, 1) }))
}
