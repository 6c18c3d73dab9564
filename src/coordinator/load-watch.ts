/**
 * When the leader looks at the load of shards, and what it sees: a look is due when somebody asks for one, and when workers
 * have come or gone.
 */
import type { ControlLog, ShardLoad, ShardLoadReport, ShardLoads } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { BalancerInput, Plan } from './balancer.js'

/** A waiting command is work to come on its shard: a backlog draws room to it, but weighs less than what runs. */
const QUEUED_PER_TURN = 4
/** So many short commands per second keep a worker about as busy as one turn that streams text. */
const COMMANDS_PER_SECOND_PER_TURN = 50
/** While a look is due, the figures are read again after this time: workers report as often. */
const FRESH_MS = 2_000
/** After shards have changed their owners: they have been measured anew by then, twice. */
const SETTLE_MS = 5_000
/** A shard that was moved by load stays where it is for so long, whatever is measured among the same workers. */
const REST_MS = 30_000

export interface LoadWatchDependencies {
  readonly shardLoads: Pick<ShardLoads, 'read'>
  readonly log: ControlLog
  /** Monotonic, in ms. */
  readonly clock: () => number
}

export type LoadPicture = Required<Pick<BalancerInput, 'loads' | 'byLoad' | 'resting'>>

export class LoadWatch {
  readonly #restingSince = new Map<number, number>()
  #workers = ''
  #isDue = false
  #readAt = Number.NEGATIVE_INFINITY
  #settledAt = Number.NEGATIVE_INFINITY
  #reports: ReadonlyMap<NodeId, ShardLoadReport> = new Map()
  #failing = false

  constructor(private readonly deps: LoadWatchDependencies) {}

  /** Asks for a look as soon as the last round has settled. */
  request(): void {
    this.#isDue = true
    this.#readAt = Number.NEGATIVE_INFINITY
  }

  get isDue(): boolean {
    return this.#isDue
  }

  /** What the balancer may know now. `owners` are those of the shards, `workers` the ids of the living. */
  async picture(owners: ReadonlyMap<number, NodeId>, workers: readonly NodeId[]): Promise<LoadPicture> {
    const names = [...workers].sort().join(' ')
    if (names !== this.#workers) {
      this.request()
      // Other workers are a reason that no measurement can feign.
      this.#restingSince.clear()
    }
    this.#workers = names
    const now = this.deps.clock()
    const byLoad = this.#isDue && now >= this.#settledAt
    if (this.#isDue && now - this.#readAt >= FRESH_MS) await this.#read(new Set(workers), now)
    for (const [shard, since] of this.#restingSince) if (now - since >= REST_MS) this.#restingSince.delete(shard)
    return { loads: loadsOf(owners, this.#reports), byLoad, resting: new Set(this.#restingSince.keys()) }
  }

  /**
   * Takes note of what became of a look. The next one is due until it finds nothing to move: a round is bounded, and may
   * have been about numbers.
   */
  looked({ takeovers, moves, reason }: Plan): void {
    const now = this.deps.clock()
    const changes = takeovers.length + moves.length
    // Until new owners have measured their shards, a look would take hot ones for idle.
    if (changes > 0) this.#settledAt = now + SETTLE_MS
    if (reason !== 'load') return
    this.#isDue = changes > 0
    for (const { shard } of moves) this.#restingSince.set(shard, now)
  }

  /** The figures only make a balance better: without them it goes by numbers. */
  async #read(living: ReadonlySet<NodeId>, now: number): Promise<void> {
    this.#readAt = now
    try {
      this.#reports = await this.deps.shardLoads.read(living)
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.deps.log.warn({ err: error }, 'the loads of shards cannot be read')
      this.#failing = true
    }
  }
}

/** In turns. What an owner did not name has an even part of the rest. */
export function loadsOf(
  owners: ReadonlyMap<number, NodeId>,
  reports: ReadonlyMap<NodeId, ShardLoadReport>,
): ReadonlyMap<number, number> {
  const named = new Map<number, number>()
  for (const { hot } of reports.values()) {
    // A shard on the move may be in two reports: both saw a part of the truth.
    for (const load of hot) named.set(load.shard, Math.max(turnsOf(load), named.get(load.shard) ?? 0))
  }
  const unnamed = new Map<NodeId, number>()
  for (const [shard, owner] of owners) {
    if (!named.has(shard)) unnamed.set(owner, (unnamed.get(owner) ?? 0) + 1)
  }
  return new Map(
    [...owners].map(([shard, owner]) => {
      const rest = reports.get(owner)?.rest
      return [shard, named.get(shard) ?? (rest ? turnsOf(rest) / (unnamed.get(owner) ?? 1) : 0)]
    }),
  )
}

/** What a load weighs, in turns under way. */
const turnsOf = ({ running, queued, perSecond }: Omit<ShardLoad, 'shard'>): number =>
  running + queued / QUEUED_PER_TURN + perSecond / COMMANDS_PER_SECOND_PER_TURN
