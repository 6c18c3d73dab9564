/**
 * Several rankings made one: reciprocal rank fusion, which needs no common scale. Pure.
 *
 * Ranks alone do not say whether the first of a ranking is an answer or the least bad. Of words this is known: what share of
 * the question each hit covers. So words count by what they cover, and meanings by what words leave open.
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
  /** From 0 to 1; all when left out. */
  readonly counts?: number
}

export interface WordRanking {
  readonly hits: readonly { readonly id: string; readonly validFrom: Date; readonly coverage: number }[]
  readonly weight: number
}

export interface FusedHit {
  readonly id: string
  /** From 0 to 1, where 1 is first in every ranking. */
  readonly score: number
}

/**
 * Words and meanings. Where a text has all of what is asked, meanings only stand behind what words found; where none has
 * anything of it, it is the other way round; where it is half, both weights are halved.
 */
export function fuseByCoverage(words: WordRanking, meanings: Ranking): readonly FusedHit[] {
  const covering = countingByCoverage(words.hits)
  return fuse([
    { hits: covering, weight: words.weight },
    { ...meanings, weight: meanings.weight * (1 - mostOf(covering)) },
  ])
}

/** Each counts by the most that it or a hit behind it covers: so words alone keep the order that they gave. */
function countingByCoverage(hits: WordRanking['hits']): readonly RankedHit[] {
  let counts = 0
  const fromTheEnd = hits.toReversed().map(({ id, validFrom, coverage }) => {
    counts = Math.min(1, Math.max(counts, coverage))
    return { id, validFrom, counts }
  })
  return fromTheEnd.reverse()
}

/** Best first; the newer one first where two are equal. */
export function fuse(rankings: readonly Ranking[]): readonly FusedHit[] {
  const most = rankings.reduce((sum, { hits, weight }) => sum + (weight * mostOf(hits)) / (K + 1), 0) || 1
  const sums = new Map<string, { score: number; readonly at: number }>()
  for (const { hits, weight } of rankings) {
    hits.forEach(({ id, validFrom, counts = 1 }, rank) => {
      const sum = sums.get(id) ?? { score: 0, at: validFrom.getTime() }
      sum.score += (weight * counts) / (K + rank + 1) / most
      sums.set(id, sum)
    })
  }
  return [...sums]
    .sort(([, a], [, b]) => b.score - a.score || b.at - a.at)
    .map(([id, { score }]) => ({ id, score: Math.min(score, 1) }))
}

const mostOf = (hits: readonly RankedHit[]): number => hits.reduce((most, { counts = 1 }) => Math.max(most, counts), 0)
