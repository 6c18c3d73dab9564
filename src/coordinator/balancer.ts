/**
 * Decides which shards get which owner next. Pure: assignments and living workers in, changes out.
 *
 *   nobody works on it (owner dead, or released) ── takeover: at once, all of them
 *   owner lives, another should have it          ── move: the owner is asked to release first
 *      because an operator asked for it             at once
 *      by the number of shards, else by load        a bounded round
 */
import type { NodeId } from '../protocol/ids.js'
import { assignShards, planMoves, roundLimit, shareBounds } from '../shards/assignment.js'
import type { Assignment, AssignmentChange } from '../storage/shard-assignments.js'
import { planByLoad } from './load-balancer.js'
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
  /** Measured load of shards, in turns; a shard that is not in it counts as idle. */
  readonly loads?: ReadonlyMap<number, number>
  /** Whether a look at the load is due, once the numbers of shards are in order. */
  readonly byLoad?: boolean
  /** Shards that the load may not move for now. */
  readonly resting?: ReadonlySet<number>
  /** Where an operator wants shards to be: they move there first, and stay. */
  readonly wished?: ReadonlyMap<number, NodeId>
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
  /** What the moves are for, those that an operator wished aside. */
  readonly reason: 'number' | 'load'
  /** Shards that nobody works on and no living worker may take. */
  readonly stranded: readonly number[]
}

export function balance(given: BalancerInput): Plan {
  const assignments = given.assignments.filter(({ shard }) => shard < given.shardCount)
  const input = { ...given, assignments, wished: possibleWishes(given) }
  const owners = workingOwners(assignments, input.workers)
  const desired = chooseOwners(input, owners)
  const ownerless = assignments.filter(({ shard }) => !owners.has(shard))
  return {
    takeovers: ownerless.flatMap(({ shard, epoch }) => {
      const owner = desired.get(shard)
      return owner === undefined ? [] : [{ shard, expectedEpoch: epoch, owner }]
    }),
    ...chooseMoves(input, owners, desired),
    stranded: ownerless.map(({ shard }) => shard).filter((shard) => !desired.has(shard)),
  }
}

type WishedInput = BalancerInput & { readonly wished: ReadonlyMap<number, NodeId> }

/** Wishes for workers that take shards and are not older than what wrote them. */
function possibleWishes({ workers, assignments, versions, wished }: BalancerInput): ReadonlyMap<number, NodeId> {
  if (!wished || wished.size === 0) return new Map()
  const takers = new Map(workers.filter(({ draining }) => !draining).map((worker) => [worker.id, worker]))
  return new Map(
    assignments.flatMap((assignment) => {
      const taker = takers.get(wished.get(assignment.shard) ?? '')
      if (!taker || isOlder(taker.version, versionOf(assignment, versions) ?? '')) return []
      return [[assignment.shard, taker.id] as const]
    }),
  )
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
function chooseOwners(input: WishedInput, owners: ReadonlyMap<number, NodeId>): ReadonlyMap<number, NodeId> {
  const { shardCount, assignments, targets, wished, loads } = input
  const takers = new Map(input.workers.filter(({ draining }) => !draining).map((worker) => [worker.id, worker]))
  // A move under way counts as done, or its shard would be dealt again, perhaps back to where it comes from.
  const current = new Map([...owners, ...[...targets].filter(([, to]) => takers.has(to)), ...wished])
  const fixed = new Set(wished.keys())
  const desired = assignShards({ shardCount, workers: [...takers.values()], current, fixed, ...(loads && { loads }) })
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

/** Wishes first, then one bounded round. Shards that their owners were asked for before are on their way. */
function chooseMoves(
  input: WishedInput,
  owners: ReadonlyMap<number, NodeId>,
  desired: ReadonlyMap<number, NodeId>,
): Pick<Plan, 'moves' | 'reason'> {
  const movable = new Map(
    input.assignments
      .filter(({ shard, state }) => owners.has(shard) && state === 'assigned')
      .map((it) => [it.shard, it.epoch]),
  )
  const plan = (moves: readonly { shard: number; from: NodeId | undefined; to: NodeId }[]): PlannedMove[] =>
    moves.flatMap(({ shard, from, to }) => {
      const epoch = movable.get(shard)
      return from === undefined || epoch === undefined || from === to ? [] : [{ shard, epoch, from, to }]
    })
  const wished = plan([...input.wished].map(([shard, to]) => ({ shard, from: owners.get(shard), to })))
  if (input.moving) return { moves: wished, reason: 'number' }
  // What cannot move now counts as being where it should be, so that the round's bound still goes by all shards.
  const current = new Map(
    [...desired].map(([shard, to]) => {
      const stays = !movable.has(shard) || input.wished.has(shard)
      return [shard, stays ? to : (owners.get(shard) ?? to)]
    }),
  )
  const byNumber = plan(planMoves(current, desired))
  if (byNumber.length > 0 || !input.byLoad) return { moves: [...wished, ...byNumber], reason: 'number' }
  return { moves: [...wished, ...plan(byLoad(input, desired, movable))], reason: 'load' }
}

/** A round by load, when the numbers of shards are in order. */
function byLoad(
  { shardCount, workers, assignments, versions, loads = new Map(), resting, wished }: WishedInput,
  owners: ReadonlyMap<number, NodeId>,
  movable: ReadonlyMap<number, number>,
) {
  const takers = new Map(workers.filter(({ draining }) => !draining).map((worker) => [worker.id, worker]))
  const bounds = shareBounds({ shardCount, workers: [...takers.values()] })
  const written = new Map(assignments.map((it) => [it.shard, versionOf(it, versions) ?? '']))
  return planByLoad({
    workers: [...takers.values()].flatMap(({ id, weight }) => {
      const limits = bounds.get(id)
      return limits ? [{ id, weight, ...limits }] : []
    }),
    owners,
    loads,
    mayMove: (shard, to) =>
      movable.has(shard) &&
      !wished.has(shard) &&
      !resting?.has(shard) &&
      !isOlder(takers.get(to)?.version ?? '', written.get(shard) ?? ''),
    limit: roundLimit(shardCount),
  })
}
