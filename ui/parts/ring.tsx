/**
 * All shards as a ring: whose each is by its colour, what it has to do by a bar inside, and what has just moved by a rim.
 * A drawing for the eye; the table beside it has the same figures.
 */

import { number, plural } from '../format.js'
import type { ClusterShard } from '../model/shapes.js'

interface Props {
  readonly shards: readonly ClusterShard[]
  readonly colourOf: (owner: string) => number
  /** Owner whose shards stand out. */
  readonly chosen: string | undefined
  readonly moved: ReadonlySet<number>
  readonly workers: number
}

const OUTER = 100
const INNER = 86
const RIM = 104
const BAR_FOOT = 83
const BAR_HEIGHT = 26
/** Share of a cell that is left free beside the next one. */
const GAP = 0.12

export function Ring({ shards, colourOf, chosen, moved, workers }: Props) {
  const count = shards.length
  const owners = new Map<string, number[]>()
  for (const { shard, owner } of shards) {
    const list = owners.get(owner ?? '') ?? []
    owners.set(owner ?? '', list)
    list.push(shard)
  }
  const free = owners.get('')?.length ?? 0
  const label = `${plural(count, 'shard')} on ${plural(workers, 'worker')}, ${free === 0 ? 'all owned' : `${free} without an owner`}`
  return (
    <svg class="ring" viewBox="-110 -110 220 220" role="img" aria-label={label}>
      {[...owners].map(([owner, cells]) => (
        <path
          key={owner}
          class={owner === '' ? 'cell cell-free' : `cell owner-${colourOf(owner)}`}
          opacity={chosen === undefined || chosen === owner ? 1 : 0.18}
          d={cells.map((shard) => cell(shard, count, INNER, OUTER)).join('')}
        />
      ))}
      <path class="ring-load" d={loadBars(shards)} />
      {/* A new key starts the animation again. */}
      <path
        key={[...moved].join()}
        class="ring-moved"
        d={[...moved].map((shard) => cell(shard, count, OUTER + 2, RIM + 2)).join('')}
      />
      <text class="ring-figure" y="-2">
        {number(count)}
      </text>
      <text class="ring-word" y="14">
        shards
      </text>
    </svg>
  )
}

/** Bars grow inward; the busiest shard has the longest. */
function loadBars(shards: readonly ClusterShard[]): string {
  const work = ({ load }: ClusterShard): number => (load ? load.perSecond + load.running + load.queued : 0)
  const most = Math.max(...shards.map(work), 1)
  return shards
    .filter((shard) => work(shard) > 0)
    .map((shard) => cell(shard.shard, shards.length, BAR_FOOT - (BAR_HEIGHT * work(shard)) / most, BAR_FOOT))
    .join('')
}

function cell(shard: number, count: number, inner: number, outer: number): string {
  const gap = count > 1 ? GAP : 0.001
  const [start, end] = [(shard + gap / 2) / count, (shard + 1 - gap / 2) / count]
  const large = end - start > 0.5 ? 1 : 0
  const arc = (radius: number, sweep: 0 | 1, at: number): string =>
    `A${radius} ${radius} 0 ${large} ${sweep} ${point(at, radius)}`
  return `M${point(start, outer)}${arc(outer, 1, end)}L${point(end, inner)}${arc(inner, 0, start)}Z`
}

/** From the top, clockwise. */
function point(turn: number, radius: number): string {
  const angle = turn * 2 * Math.PI - Math.PI / 2
  return `${(Math.cos(angle) * radius).toFixed(2)} ${(Math.sin(angle) * radius).toFixed(2)}`
}
