/**
 * A cluster of one process: nobody beats and nobody watches. Every start takes all shards with the next epoch, through the
 * same compare-and-set as in a cluster, so that a write of the former process is fenced.
 */
import type { NodeId } from '../protocol/ids.js'
import type { Assignment, ShardAssignments } from '../storage/shard-assignments.js'
import type {
  ClusterView,
  ControlChannel,
  ControlLog,
  ControlMessage,
  GrantedShard,
  LiveNode,
  Member,
  NodeLoad,
} from './cluster.js'

export interface SoloOptions {
  readonly id: NodeId
  readonly version: string
  readonly shardCount: number
  readonly assignments: Pick<ShardAssignments, 'ensureShards' | 'list' | 'assign'>
  /**
   * Keeps other processes off the same database until the returned function is called, or rejects with a sentence for
   * the user. Not needed where opening the database keeps them off already.
   */
  readonly lock?: () => Promise<() => Promise<void>>
  readonly log: ControlLog
}

const NO_LOAD: NodeLoad = { busy: 0, capacity: 1, queued: 0 }

export class Solo implements Member, ClusterView, ControlChannel {
  #load = NO_LOAD
  #status: 'live' | 'draining' = 'live'
  #running = false
  #claims: readonly GrantedShard[] = []
  #unlock: (() => Promise<void>) | undefined

  constructor(private readonly options: SoloOptions) {}

  get id(): NodeId {
    return this.options.id
  }

  get shardCount(): number {
    return this.options.shardCount
  }

  /** @throws when another process holds the database, or takes shards at the same time. */
  async start(): Promise<void> {
    this.#unlock = await this.options.lock?.()
    try {
      this.#claims = await this.#takeShards()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#running = true
    this.options.log.info({ node: this.id, shards: this.#claims.length }, 'this process owns all shards')
  }

  /** The shards stay assigned to this id; the next start takes them from it. */
  async stop(): Promise<void> {
    this.#running = false
    const unlock = this.#unlock
    this.#unlock = undefined
    await unlock?.()
  }

  /** All shards, with the epochs of this start. */
  get claims(): readonly GrantedShard[] {
    return this.#claims
  }

  mayStartEffects(): boolean {
    return this.#running
  }

  relayBeats(_pipe: string): number {
    return 0
  }

  setLoad(load: NodeLoad): void {
    this.#load = load
  }

  setStatus(status: 'live' | 'draining'): void {
    this.#status = status
  }

  /** Never called: nobody else could declare it dead. */
  onDead(_handler: () => void): void {}

  nodes(): readonly LiveNode[] {
    if (!this.#running) return []
    const { id, version } = this.options
    const beat = { beatAt: Date.now(), lagMs: 0 }
    return [{ id, role: 'all', version, weight: 1, load: this.#load, status: this.#status, ...beat }]
  }

  owners(): ReadonlyMap<number, NodeId> {
    return new Map(this.#claims.map(({ shard }) => [shard, this.id]))
  }

  /** Nobody to talk to. */
  async send(_to: NodeId, _message: ControlMessage): Promise<void> {}

  async receive(handler: (message: ControlMessage) => void): Promise<() => Promise<void>> {
    handler({ type: 'claim', shards: this.#claims })
    return async () => {}
  }

  async #takeShards(): Promise<readonly GrantedShard[]> {
    const { assignments, shardCount } = this.options
    await assignments.ensureShards(shardCount)
    const shards = (await assignments.list()).filter(({ shard }) => shard < shardCount)
    const taken = await assignments.assign(
      shards.map(({ shard, epoch }) => this.#take(shard, epoch)),
      undefined,
    )
    if (taken.length === shardCount) return taken.map(granted)
    throw new Error(
      `this process could take ${taken.length} of ${shardCount} shards: another process uses the same database; stop it, ` +
        'or run a cluster with REDIS_URL and DATABASE_URL',
    )
  }

  #take(shard: number, expectedEpoch: number) {
    return { shard, expectedEpoch, owner: this.id }
  }
}

const granted = ({ shard, epoch, previousOwner }: Assignment): GrantedShard => ({
  shard,
  epoch,
  previousOwner: previousOwner ?? undefined,
})
