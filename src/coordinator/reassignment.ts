/**
 * Carries out what the balancer planned, step by step through Postgres, and remembers where moves under way are going.
 *
 *   takeover   compare-and-set (epoch + 1, new owner) ─▶ `claim` to the new owner
 *   move       state releasing ─▶ `release` to the owner ─▶ the owner sets released when idle ─▶ as a takeover
 */
import type { ControlChannel, ControlLog, ControlMessage } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { Leadership } from '../storage/leader.js'
import type { Assignment, OwnedShard, ShardAssignments } from '../storage/shard-assignments.js'
import type { Plan, PlannedMove } from './balancer.js'

/**
 * A round of moves is over when all its shards have moved, or after this time: the rest is busy and moves when idle,
 * and is not paused meanwhile.
 */
const ROUND_MS = 5_000

export interface ReassignmentDependencies {
  readonly assignments: Pick<ShardAssignments, 'assign' | 'requestRelease'>
  readonly control: Pick<ControlChannel, 'send'>
  readonly log: ControlLog
  readonly clock: () => number
  /** The term under which this process leads right now. */
  readonly term: () => Leadership | undefined
}

export class Reassignment {
  readonly #targets = new Map<number, NodeId>()
  #roundStartedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly deps: ReassignmentDependencies) {}

  /** Where moves under way are going. */
  get targets(): ReadonlyMap<number, NodeId> {
    return this.#targets
  }

  get moving(): boolean {
    return this.#targets.size > 0 && this.deps.clock() - this.#roundStartedAt < ROUND_MS
  }

  /** Drops the plans of a former term. */
  forget(): void {
    this.#targets.clear()
  }

  /** Drops moves that have ended. */
  observe(assignments: readonly Assignment[]): void {
    for (const { shard, state } of assignments) {
      if (state === 'assigned') this.#targets.delete(shard)
    }
  }

  async carryOut(plan: Plan): Promise<void> {
    const assigned = await this.#assign(plan)
    const requested = await this.#requestRelease(plan.moves)
    if (assigned.length + requested.length === 0) return
    const { log, term } = this.deps
    log.info({ term: term()?.term, assigned: assigned.length, toRelease: requested.length }, 'shards are reassigned')
    await Promise.all([this.#tell('claim', assigned), this.#tell('release', requested)])
  }

  async #assign({ takeovers }: Plan): Promise<readonly Addressed[]> {
    const term = this.deps.term()
    if (takeovers.length === 0 || !term) return []
    const changed = await this.deps.assignments.assign(takeovers, term)
    for (const { shard } of changed) this.#targets.delete(shard)
    return changed.flatMap(({ shard, epoch, owner }) => (owner === null ? [] : [{ shard, epoch, to: owner }]))
  }

  async #requestRelease(moves: readonly PlannedMove[]): Promise<readonly Addressed[]> {
    const term = this.deps.term()
    if (moves.length === 0 || !term) return []
    const changed = await this.deps.assignments.requestRelease(moves, term)
    const shards = new Set(changed.map(({ shard }) => shard))
    const begun = moves.filter(({ shard }) => shards.has(shard))
    for (const { shard, to } of begun) this.#targets.set(shard, to)
    if (begun.length > 0) this.#roundStartedAt = this.deps.clock()
    return begun.map(({ shard, epoch, from }) => ({ shard, epoch, to: from }))
  }

  /** Best effort: what is not heard is found by polling. */
  async #tell(type: ControlMessage['type'], words: readonly Addressed[]): Promise<void> {
    const { control, log } = this.deps
    const byNode = new Map<NodeId, OwnedShard[]>()
    for (const { shard, epoch, to } of words) {
      const shards = byNode.get(to) ?? []
      shards.push({ shard, epoch })
      byNode.set(to, shards)
    }
    const sent = [...byNode].map(([node, shards]) =>
      control.send(node, { type, shards }).catch((error: unknown) => {
        log.warn({ err: error, node }, `a node could not be told to ${type} shards; it finds out by itself`)
      }),
    )
    await Promise.all(sent)
  }
}

interface Addressed extends OwnedShard {
  readonly to: NodeId
}
