/**
 * Carries out what operators asked for: shards that are to be elsewhere, and rounds that are to begin now. The balancer
 * moves a wished shard before others; this file says what became of the wish.
 */
import type { ControlLog } from '../cluster/cluster.js'
import { type NodeId, nodeName } from '../protocol/ids.js'
import type { ClusterRequest, ClusterRequests } from '../storage/cluster-requests.js'
import type { Leadership } from '../storage/leader.js'
import type { BalancedShard, BalancedWorker, Plan } from './balancer.js'
import { isOlder } from './version.js'

/** A shard that an operator has moved is not moved away by the balance for so long. */
export const HOLD_MS = 600_000
/** A wish that takes longer is given up: its owner does not let go of the shard. */
const PATIENCE_MS = 60_000

export interface OperatorRequestsDependencies {
  readonly requests: Pick<ClusterRequests, 'listOpen' | 'end'>
  readonly log: ControlLog
  /** The term under which this process leads right now. */
  readonly term: () => Leadership | undefined
}

export interface ClusterPicture {
  readonly assignments: readonly BalancedShard[]
  readonly workers: readonly BalancedWorker[]
  readonly versions: ReadonlyMap<NodeId, string>
}

export class OperatorRequests {
  /** Rounds that were asked for and have not begun. */
  #rounds: readonly ClusterRequest[] = []

  constructor(private readonly deps: OperatorRequestsDependencies) {}

  /** Ends what is done or cannot be done; returns the rest: where shards should be, and whether a round is asked for. */
  async read(
    picture: ClusterPicture,
  ): Promise<{ readonly wished: ReadonlyMap<number, NodeId>; readonly round: boolean }> {
    const open = await this.deps.requests.listOpen()
    const wished = new Map<number, NodeId>()
    const moves = new Map<number, ClusterRequest>()
    for (const request of open) {
      if (request.kind !== 'move' || request.shard === null) continue
      const before = moves.get(request.shard)
      if (before?.state === 'waiting') await this.#end(before, 'refused', 'a later request took its place')
      moves.set(request.shard, request)
    }
    for (const [shard, request] of moves)
      if (await this.#stands(request, picture)) wished.set(shard, request.target ?? '')
    this.#rounds = open.filter(({ kind }) => kind === 'rebalance')
    return { wished, round: this.#rounds.length > 0 }
  }

  /** Answers those who asked for a round, once one has been looked for. */
  async planned({ moves, reason }: Plan): Promise<void> {
    if (this.#rounds.length === 0 || (reason === 'number' && moves.length === 0)) return
    const why = reason === 'load' ? 'by load' : 'by their number'
    const outcome = moves.length === 0 ? 'the load is even enough; nothing moves' : `${moves.length} shards move ${why}`
    for (const request of this.#rounds) await this.#end(request, 'done', outcome)
    this.#rounds = []
  }

  /** Whether the shard is still to be where the request says. */
  async #stands(request: ClusterRequest, { assignments, workers, versions }: ClusterPicture): Promise<boolean> {
    if (request.state === 'done') return true
    const assignment = assignments.find(({ shard }) => shard === request.shard)
    const target = workers.find(({ id }) => id === request.target)
    const obstacle = obstacleTo(assignment, target, request.target ?? '', versions)
    if (obstacle !== undefined) return await this.#end(request, 'refused', obstacle)
    if (assignment?.owner === target?.id && assignment?.state === 'assigned') {
      await this.#end(request, 'done', `shard ${request.shard} is with ${request.target}`, HOLD_MS)
      return true
    }
    if (request.ageMs < PATIENCE_MS) return true
    return await this.#end(request, 'refused', `its owner did not release the shard within ${PATIENCE_MS / 1_000} s`)
  }

  async #end(request: ClusterRequest, state: 'done' | 'refused', outcome: string, heldMs?: number): Promise<false> {
    const term = this.deps.term()
    if (term) {
      await this.deps.requests.end({ id: request.id, state, outcome, ...(heldMs !== undefined && { heldMs }) }, term)
      this.deps.log.info(
        { request: request.id, kind: request.kind, state, outcome },
        'a request of an operator has ended',
      )
    }
    return false
  }
}

/** Why a shard cannot go to a worker; undefined when it can. For the command line too, before it asks. */
export function obstacleTo(
  assignment: BalancedShard | undefined,
  target: BalancedWorker | undefined,
  name: string,
  versions: ReadonlyMap<NodeId, string>,
): string | undefined {
  if (!assignment) return 'there is no such shard'
  if (!target) return `${name} is not a worker that lives`
  if (target.draining) return `${target.id} is draining and takes no shards`
  const writer = assignment.owner ?? assignment.previousOwner ?? ''
  const written = versions.get(writer) ?? ''
  if (!isOlder(target.version, written)) return undefined
  return `${target.id} runs version ${target.version}, and ${nodeName(writer)} wrote the shard with ${written}: no shard goes back`
}
