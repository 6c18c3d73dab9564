/**
 * Decides which shards get which owner next. Pure: assignments and living workers in, changes out.
 *
 *   nobody works on it (owner dead, or released) ── takeover: at once, all of them
 *   owner lives, another should have it          ── move: a bounded round; the owner is asked to release first
 */
import type { NodeId } from '../protocol/ids.js'
import { assignShards, planMoves } from '../shards/assignment.js'
import type { Assignment, AssignmentChange } from '../storage/shard-assignments.js'
import { isOlder } from './version.js'

export interface BalancedWorker {
  readonly id: NodeId
  readonly name: string
  readonly weight: number
  readonly version: string
  /** Gets nothing and gives away. */
  readonly draining: boolean
}

export type BalancedShard = Omit<Assignment, 'changedAt'>

export interface BalancerInput {
  readonly shardCount: number
  readonly assignments: readonly BalancedShard[]
  /** Workers that are alive. */
  readonly workers: readonly BalancedWorker[]
  /** Versions of nodes that own or owned shards, dead ones too. */
  readonly versions: ReadonlyMap<NodeId, string>
  /** Where moves under way are going. */
  readonly targets: ReadonlyMap<number, NodeId>
  /** Whether a round of moves is under way, so that no other begins. */
  readonly moving: boolean
}

export interface PlannedMove {
  readonly shard: number
  readonly epoch: number
  readonly from: NodeId
  readonly to: NodeId
}

export interface Plan {
  readonly takeovers: readonly AssignmentChange[]
  readonly moves: readonly PlannedMove[]
  /** Shards that nobody works on and no living worker may take. */
  readonly stranded: readonly number[]
}

export function balance(input: BalancerInput): Plan {
  const assignments = input.assignments.filter(({ shard }) => shard < input.shardCount)
  const owners = workingOwners(assignments, input.workers)
  const desired = chooseOwners(input, assignments, owners)
  const ownerless = assignments.filter(({ shard }) => !owners.has(shard))
  return {
    takeovers: ownerless.flatMap(({ shard, epoch }) => {
      const owner = desired.get(shard)
      return owner === undefined ? [] : [{ shard, expectedEpoch: epoch, owner }]
    }),
    moves: input.moving ? [] : chooseMoves(assignments, owners, desired),
    stranded: ownerless.map(({ shard }) => shard).filter((shard) => !desired.has(shard)),
  }
}

/** Owner of each shard that somebody alive works on. */
function workingOwners(
  assignments: readonly BalancedShard[],
  workers: readonly BalancedWorker[],
): ReadonlyMap<number, NodeId> {
  const alive = new Set(workers.map(({ id }) => id))
  const owners = new Map<number, NodeId>()
  for (const { shard, owner, state } of assignments) {
    if (owner !== null && state !== 'released' && alive.has(owner)) owners.set(shard, owner)
  }
  return owners
}

/** The owner that each shard should have; a shard is missing when no worker may take it. */
function chooseOwners(
  input: BalancerInput,
  assignments: readonly BalancedShard[],
  owners: ReadonlyMap<number, NodeId>,
): ReadonlyMap<number, NodeId> {
  const { shardCount, targets } = input
  const takers = new Map(input.workers.filter(({ draining }) => !draining).map((worker) => [worker.id, worker]))
  // A move under way counts as done, or its shard would be dealt again, perhaps back to where it comes from.
  const current = new Map([...owners, ...[...targets].filter(([, to]) => takers.has(to))])
  const desired = assignShards({ shardCount, workers: [...takers.values()], current })
  for (const assignment of assignments) {
    const { shard } = assignment
    const version = versionOf(assignment, input.versions)
    const chosen = takers.get(desired.get(shard) ?? '')
    if (version === undefined || (chosen && !isOlder(chosen.version, version))) continue
    const other = newEnough(takers, owners.get(shard), desired, version)
    if (other === undefined) desired.delete(shard)
    else desired.set(shard, other)
  }
  return desired
}

/** Of the node that wrote the shard last. What it wrote may be unreadable for an older one. */
function versionOf({ owner, previousOwner }: BalancedShard, versions: ReadonlyMap<NodeId, string>): string | undefined {
  const id = owner ?? previousOwner
  return id === null ? undefined : versions.get(id)
}

/** The present owner if it stays, else the emptiest worker that is not older, else the present owner although it drains. */
function newEnough(
  takers: ReadonlyMap<NodeId, BalancedWorker>,
  owner: NodeId | undefined,
  desired: ReadonlyMap<number, NodeId>,
  version: string,
): NodeId | undefined {
  if (owner !== undefined && takers.has(owner)) return owner
  const shards = new Map<NodeId, number>()
  for (const id of desired.values()) shards.set(id, (shards.get(id) ?? 0) + 1)
  const fullness = ({ id, weight }: BalancedWorker) => (shards.get(id) ?? 0) / weight
  const candidates = [...takers.values()].filter((worker) => !isOlder(worker.version, version))
  return candidates.sort((a, b) => fullness(a) - fullness(b))[0]?.id ?? owner
}

/** One bounded round. Shards that their owners were asked for before are on their way. */
function chooseMoves(
  assignments: readonly BalancedShard[],
  owners: ReadonlyMap<number, NodeId>,
  desired: ReadonlyMap<number, NodeId>,
): PlannedMove[] {
  const movable = new Map(
    assignments
      .filter(({ shard, state }) => owners.has(shard) && state === 'assigned')
      .map((it) => [it.shard, it.epoch]),
  )
  // What cannot move now counts as being where it should be, so that the round's bound still goes by all shards.
  const current = new Map(
    [...desired].map(([shard, to]) => [shard, movable.has(shard) ? (owners.get(shard) ?? to) : to]),
  )
  return planMoves(current, desired).flatMap(({ shard, from, to }) => {
    const epoch = movable.get(shard)
    return from === undefined || epoch === undefined ? [] : [{ shard, epoch, from, to }]
  })
}
