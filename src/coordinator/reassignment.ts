/**
 * Carries out what the balancer planned, step by step through Postgres, and remembers where moves under way are going.
 *
 *   takeover   compare-and-set (epoch + 1, new owner) ─▶ `claim` to the new owner
 *   move       state releasing ─▶ `release` to the owner ─▶ its word `released`, or the row ─▶ as a takeover
 */
import type { ControlChannel, ControlLog, ControlMessage } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { Leadership } from '../storage/leader.js'
import type { Assignment, OwnedShard, ShardAssignments } from '../storage/shard-assignments.js'
import type { Plan, PlannedMove } from './balancer.js'

export interface ReassignmentDependencies {
  readonly id: NodeId
  readonly assignments: Pick<ShardAssignments, 'assign' | 'requestRelease' | 'withdraw'>
  readonly control: Pick<ControlChannel, 'send'>
  readonly log: ControlLog
  readonly clock: () => number
  /** For a shard from the request to its release. After that it stays, and may be asked for again. */
  readonly migrationTimeoutMs: number
  /** The term under which this process leads right now. */
  readonly term: () => Leadership | undefined
}

interface Target {
  readonly to: NodeId
  /** Under which the present owner was asked. */
  readonly epoch: number
}

export class Reassignment {
  readonly #targets = new Map<number, Target>()
  #roundStartedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly deps: ReassignmentDependencies) {}

  /** Where moves under way are going. */
  get targets(): ReadonlyMap<number, NodeId> {
    return new Map([...this.#targets].map(([shard, { to }]) => [shard, to]))
  }

  get moving(): boolean {
    return this.#targets.size > 0
  }

  /** Drops the plans of a former term. */
  forget(): void {
    this.#targets.clear()
  }

  /** Drops moves that have ended, and gives up those that their owners did not answer in time. */
  async observe(assignments: readonly Assignment[]): Promise<void> {
    for (const { shard, state } of assignments) {
      if (state === 'assigned') this.#targets.delete(shard)
    }
    const { clock, migrationTimeoutMs, term, assignments: rows, log } = this.deps
    const leader = term()
    if (this.#targets.size === 0 || clock() - this.#roundStartedAt < migrationTimeoutMs || !leader) return
    const late = [...this.#targets].map(([shard, { epoch }]) => ({ shard, epoch }))
    this.#targets.clear()
    await rows.withdraw(late, leader)
    log.warn({ shards: late.map(({ shard }) => shard) }, 'shards were not released in time; they stay where they are')
  }

  async carryOut(plan: Omit<Plan, 'reason'>): Promise<void> {
    const assigned = await this.#assign(plan)
    const requested = await this.#requestRelease(plan.moves)
    if (assigned.length + requested.length === 0) return
    const { log, term } = this.deps
    log.info({ term: term()?.term, assigned: assigned.length, toRelease: requested.length }, 'shards are reassigned')
    await Promise.all([this.#tellClaims(assigned), this.#tellReleases(requested)])
  }

  /**
   * An owner has given shards back: they go on to where they were moving, at once. False when one of them has no such
   * place: a round must find it.
   */
  async released(shards: readonly OwnedShard[]): Promise<boolean> {
    const takeovers = shards.flatMap(({ shard, epoch }) => {
      const target = this.#targets.get(shard)
      return target?.epoch === epoch ? [{ shard, expectedEpoch: epoch, owner: target.to }] : []
    })
    await this.#tellClaims(await this.#assign({ takeovers }))
    return takeovers.length === shards.length
  }

  async #assign({ takeovers }: Pick<Plan, 'takeovers'>): Promise<readonly Assignment[]> {
    const term = this.deps.term()
    if (takeovers.length === 0 || !term) return []
    const changed = await this.deps.assignments.assign(takeovers, term)
    for (const { shard } of changed) this.#targets.delete(shard)
    return changed
  }

  async #requestRelease(moves: readonly PlannedMove[]): Promise<readonly PlannedMove[]> {
    const term = this.deps.term()
    if (moves.length === 0 || !term) return []
    const changed = await this.deps.assignments.requestRelease(moves, term)
    const shards = new Set(changed.map(({ shard }) => shard))
    const begun = moves.filter(({ shard }) => shards.has(shard))
    for (const { shard, to, epoch } of begun) this.#targets.set(shard, { to, epoch })
    if (begun.length > 0) this.#roundStartedAt = this.deps.clock()
    return begun
  }

  async #tellClaims(assigned: readonly Assignment[]): Promise<void> {
    const byOwner = grouped(assigned, ({ owner }) => owner ?? undefined)
    await this.#tellEach(byOwner, (rows) => ({
      type: 'claim',
      shards: rows.map(({ shard, epoch, previousOwner }) => ({
        shard,
        epoch,
        previousOwner: previousOwner ?? undefined,
      })),
    }))
  }

  async #tellReleases(moves: readonly PlannedMove[]): Promise<void> {
    const byOwner = grouped(moves, ({ from }) => from)
    await this.#tellEach(byOwner, (its) => ({
      type: 'release',
      shards: its.map(({ shard, epoch }) => ({ shard, epoch })),
      leader: this.deps.id,
    }))
  }

  /** Best effort: what is not heard is found by polling. */
  async #tellEach<T>(byNode: ReadonlyMap<NodeId, readonly T[]>, message: (about: readonly T[]) => ControlMessage) {
    const { control, log } = this.deps
    const sent = [...byNode].map(([node, about]) =>
      control.send(node, message(about)).catch((error: unknown) => {
        log.warn({ err: error, node }, 'a node could not be told about its shards; it finds out by itself')
      }),
    )
    await Promise.all(sent)
  }
}

function grouped<T>(items: readonly T[], nodeOf: (item: T) => NodeId | undefined): ReadonlyMap<NodeId, readonly T[]> {
  const byNode = new Map<NodeId, T[]>()
  for (const item of items) {
    const node = nodeOf(item)
    if (node === undefined) continue
    const present = byNode.get(node)
    if (present) present.push(item)
    else byNode.set(node, [item])
  }
  return byNode
}
