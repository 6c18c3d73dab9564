/**
 * Moves of hot shards from overloaded workers to those with room. Pure.
 *
 *   plain   donor ──hot──▶ receiver                      while both stay within their bounds on the number of shards
 *   swap    donor ──hot──▶ receiver, ◀──cool── back      otherwise
 *
 * Every step lowers the sum of load² / weight over the workers, so repeated rounds over unchanged loads come to rest and
 * no distribution is met twice. It begins only above one threshold and ends below a lower one: noise moves nothing.
 */
import type { NodeId } from '../protocol/ids.js'
import type { ShareBounds } from '../shards/assignment.js'
import type { Shard } from '../shards/shard.js'

/** Nothing moves unless (highest - lowest) / average load of the workers, each by its weight, is above this. */
export const IMBALANCE_THRESHOLD = 0.3
/** A round that has begun goes on until this is reached, so that the next one is not due at once. */
const EVEN_ENOUGH = 0.1
/** In turns, per worker of weight 1: with less to do, no shard is worth a pause. */
const MIN_AVERAGE_LOAD = 1
/** A step shifts at least this share of a worker's average load, or it is not worth a pause either … */
const MIN_SHIFT = 0.02
/** … and at most so much of what would make its two workers even: near 2 it would only swap their roles. */
const MAX_OVERSHOOT = 1.6

export interface LoadedWorker extends ShareBounds {
  readonly id: NodeId
  readonly weight: number
}

export interface LoadInput {
  /** Workers that take shards. */
  readonly workers: readonly LoadedWorker[]
  readonly owners: ReadonlyMap<Shard, NodeId>
  /** In turns; a shard that is not in it counts as idle. */
  readonly loads: ReadonlyMap<Shard, number>
  readonly mayMove: (shard: Shard, to: NodeId) => boolean
  /** Shards that may move at most. */
  readonly limit: number
}

export interface LoadMove {
  readonly shard: Shard
  readonly from: NodeId
  readonly to: NodeId
}

/** One bounded round; empty when the load is even enough, or no move makes it more even. */
export function planByLoad(input: LoadInput): LoadMove[] {
  const loads = new WorkerLoads(input)
  if (!(loads.imbalance > IMBALANCE_THRESHOLD)) return []
  const moves: LoadMove[] = []
  while (loads.imbalance > EVEN_ENOUGH) {
    const step = loads.bestStep(input.limit - moves.length)
    if (!step) break
    moves.push(...loads.apply(step))
  }
  return moves
}

/** (highest - lowest) / average of the workers' loads, each by its weight; 0 where there is too little to do. */
export const imbalanceOf = (input: Pick<LoadInput, 'workers' | 'owners' | 'loads'>): number =>
  new WorkerLoads({ ...input, mayMove: () => false, limit: 0 }).imbalance

interface WeighedShard {
  readonly shard: Shard
  readonly load: number
}

interface Bin {
  readonly worker: LoadedWorker
  readonly shards: Map<Shard, number>
  load: number
}

/** `back` travels the other way. */
interface Step {
  readonly donor: Bin
  readonly receiver: Bin
  readonly hot: WeighedShard
  readonly back: WeighedShard | undefined
}

class WorkerLoads {
  readonly #bins: Bin[]
  readonly #average: number
  /** What this round has moved: nothing moves twice. */
  readonly #moved = new Set<Shard>()

  constructor(private readonly input: LoadInput) {
    const { workers, owners, loads } = input
    const bins = new Map(workers.map((worker) => [worker.id, { worker, shards: new Map<Shard, number>(), load: 0 }]))
    for (const [shard, owner] of owners) {
      const bin = bins.get(owner)
      if (!bin) continue
      const load = loads.get(shard) ?? 0
      bin.shards.set(shard, load)
      bin.load += load
    }
    this.#bins = [...bins.values()].sort((a, b) => (a.worker.id < b.worker.id ? -1 : 1))
    const weight = workers.reduce((sum, it) => sum + it.weight, 0)
    this.#average = this.#bins.reduce((sum, { load }) => sum + load, 0) / weight
  }

  get imbalance(): number {
    if (this.#bins.length < 2 || this.#average < MIN_AVERAGE_LOAD) return 0
    const pressures = this.#bins.map(pressure)
    return (Math.max(...pressures) - Math.min(...pressures)) / this.#average
  }

  /** Between the most and the least loaded pair that a move of at most `limit` shards brings nearer together. */
  bestStep(limit: number): Step | undefined {
    const byPressure = [...this.#bins].sort((a, b) => pressure(b) - pressure(a))
    for (const donor of byPressure) {
      for (const receiver of [...byPressure].reverse()) {
        if (pressure(receiver) >= pressure(donor)) break
        const step = this.#stepBetween(donor, receiver, limit)
        if (step) return step
      }
    }
    return undefined
  }

  apply({ donor, receiver, hot, back }: Step): LoadMove[] {
    const moves = [this.#shift(hot, donor, receiver)]
    if (back) moves.push(this.#shift(back, receiver, donor))
    return moves
  }

  #shift({ shard, load }: WeighedShard, from: Bin, to: Bin): LoadMove {
    from.shards.delete(shard)
    from.load -= load
    to.shards.set(shard, load)
    to.load += load
    this.#moved.add(shard)
    return { shard, from: from.worker.id, to: to.worker.id }
  }

  #stepBetween(donor: Bin, receiver: Bin, limit: number): Step | undefined {
    // What makes both even: the load that travels, net.
    const ideal = (pressure(donor) - pressure(receiver)) / (1 / donor.worker.weight + 1 / receiver.worker.weight)
    const least = MIN_SHIFT * this.#average
    const shiftOf = ({ hot, back }: Step): number => hot.load - (back?.load ?? 0)
    const steps = [...this.#candidates(donor, receiver, ideal, limit)].filter((step) => {
      const shift = shiftOf(step)
      return shift >= least && shift <= MAX_OVERSHOOT * ideal
    })
    const distance = (step: Step): number => Math.abs(shiftOf(step) - ideal)
    return steps.reduce<Step | undefined>(
      (best, step) => (best && distance(best) <= distance(step) ? best : step),
      undefined,
    )
  }

  /** Plain moves first: they cost one pause instead of two. */
  *#candidates(donor: Bin, receiver: Bin, ideal: number, limit: number): Generator<Step> {
    const hots = this.#movable(donor, receiver)
    const fits = donor.shards.size > donor.worker.floor && receiver.shards.size < receiver.worker.cap
    if (fits && limit >= 1) for (const hot of hots) yield { donor, receiver, hot, back: undefined }
    if (limit < 2) return
    const cool = this.#movable(receiver, donor).sort((a, b) => a.load - b.load)
    for (const hot of hots) {
      const back = nearest(cool, hot.load - ideal)
      if (back) yield { donor, receiver, hot, back }
    }
  }

  #movable(from: Bin, to: Bin): WeighedShard[] {
    return [...from.shards]
      .filter(([shard]) => !this.#moved.has(shard) && this.input.mayMove(shard, to.worker.id))
      .map(([shard, load]) => ({ shard, load }))
  }
}

const pressure = ({ worker, load }: Bin): number => load / worker.weight

/** Of shards in the order of their load, the one nearest to `load`. */
function nearest(sorted: readonly WeighedShard[], load: number): WeighedShard | undefined {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle]?.load ?? 0) < load) low = middle + 1
    else high = middle
  }
  const [below, above] = [sorted[low - 1], sorted[low]]
  if (!below || !above) return below ?? above
  return load - below.load <= above.load - load ? below : above
}
