/**
 * Measures how much each shard has to do: its turns and waiting commands now, and its commands per second of late.
 */
import type { ShardLoad, ShardLoadReport } from '../cluster/cluster.js'

/** After this time a burst counts half: longer than a hiccup, shorter than anybody waits for a round. */
const HALF_LIFE_MS = 10_000
/** Shards that are reported one by one; a worker's load rarely hangs on more. */
const HOT_SHARDS = 32
/** Commands per second below which a shard is idle and its measurement forgotten. */
const IDLE_RATE = 0.01

/** What a shard does now. */
export interface ShardWork {
  readonly shard: number
  readonly running: boolean
  readonly queued: number
}

interface Rate {
  /** Accepted since the last look. */
  count: number
  /** Weighted mean of the commands per second … */
  mean: number
  /** … and the weight of all looks in it, below 1 while there were few: a new shard is not taken for a cool one. */
  weight: number
}

export class LoadMeter {
  readonly #rates = new Map<number, Rate>()
  #lookedAt: number

  constructor(private readonly clock: () => number) {
    this.#lookedAt = clock()
  }

  /** Commands of a shard were accepted. */
  accepted(shard: number, commands: number): void {
    const rate = this.#rates.get(shard)
    if (rate) rate.count += commands
    else this.#rates.set(shard, { count: commands, mean: 0, weight: 0 })
  }

  /** Looks at the shards of this worker; call it every few seconds. */
  report(owned: ReadonlySet<number>, work: Iterable<ShardWork>): ShardLoadReport {
    const now = this.clock()
    const elapsedMs = Math.max(1, now - this.#lookedAt)
    this.#lookedAt = now
    const loads = new Map<number, Mutable>()
    for (const [shard, rate] of this.#rates) {
      const perSecond = fold(rate, elapsedMs)
      if (!owned.has(shard) || perSecond < IDLE_RATE) this.#rates.delete(shard)
      else loads.set(shard, { ...IDLE, shard, perSecond })
    }
    for (const { shard, running, queued } of work) {
      if (!owned.has(shard)) continue
      const load = loads.get(shard) ?? { ...IDLE, shard }
      load.running += running ? 1 : 0
      load.queued += queued
      loads.set(shard, load)
    }
    return hottest([...loads.values()])
  }
}

type Mutable = { -readonly [Key in keyof ShardLoad]: ShardLoad[Key] }

const IDLE: ShardLoad = { shard: -1, running: 0, queued: 0, perSecond: 0 }

function fold(rate: Rate, elapsedMs: number): number {
  const kept = 0.5 ** (elapsedMs / HALF_LIFE_MS)
  const now = (rate.count * 1_000) / elapsedMs
  rate.mean = rate.mean * kept + now * (1 - kept)
  rate.weight = rate.weight * kept + (1 - kept)
  rate.count = 0
  return rate.mean / rate.weight
}

function hottest(loads: readonly ShardLoad[]): ShardLoadReport {
  const sorted = [...loads].sort((a, b) => busyness(b) - busyness(a))
  const rest = sorted.slice(HOT_SHARDS).reduce<ShardLoad>((sum, load) => {
    return {
      shard: sum.shard,
      running: sum.running + load.running,
      queued: sum.queued + load.queued,
      perSecond: sum.perSecond + load.perSecond,
    }
  }, IDLE)
  return { hot: sorted.slice(0, HOT_SHARDS), rest }
}

// Only to choose which shards are named; what a load weighs is the balancer's to say.
const busyness = ({ running, queued, perSecond }: ShardLoad): number => running + queued + perSecond
