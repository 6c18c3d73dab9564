/**
 * `orchestrator-daemon cluster status` and `cluster ring`: who is there, and who has which shards.
 */
import { loadsOf } from '../coordinator/load-watch.js'
import { ringOwners, shareBounds } from '../shards/assignment.js'
import { type ClusterFlags, type ClusterState, withCluster } from './cluster.js'
import { type Colours, duration, fields, Output, table } from './output.js'

export async function clusterStatus(flags: ClusterFlags): Promise<void> {
  const output = new Output()
  const status = statusOf(await withCluster(flags, (stores) => stores.picture()))
  if (flags.json) output.json(status)
  else for (const line of statusLines(status, output.colours)) output.line(line)
}

export async function clusterRing(flags: ClusterFlags): Promise<void> {
  const output = new Output()
  const ring = ringOf(await withCluster(flags, (stores) => stores.picture()))
  if (flags.json) output.json(ring)
  else for (const line of ringLines(ring, output.colours)) output.line(line)
}

export type ClusterStatus = ReturnType<typeof statusOf>

export function statusOf({ leader, nodes, assignments, loads, pins }: ClusterState) {
  const owners = ownersOf(assignments)
  const weights = loadsOf(owners, loads)
  const ofNode = (id: string) => [...owners].filter(([, owner]) => owner === id).map(([shard]) => shard)
  return {
    leader: leader ? { node: leader.holder, term: leader.term } : null,
    shards: {
      total: assignments.length,
      assigned: assignments.filter(({ state }) => state === 'assigned').length,
      releasing: assignments.filter(({ state }) => state === 'releasing').length,
      released: assignments.filter(({ state }) => state === 'released').length,
    },
    pins,
    nodes: nodes.map(({ id, role, version, status, beat, silentMs }) => {
      const shards = ofNode(id)
      return {
        ...{ id, role, version },
        status: status === 'draining' ? status : (beat?.status ?? 'silent'),
        busy: beat?.load.busy ?? 0,
        capacity: beat?.load.capacity ?? 0,
        queued: beat?.load.queued ?? 0,
        lagMs: beat?.lagMs ?? null,
        lastBeatMs: silentMs ?? null,
        shards: shards.length,
        load: rounded(shards.reduce((sum, shard) => sum + (weights.get(shard) ?? 0), 0)),
      }
    }),
  }
}

function statusLines({ leader, shards, pins, nodes }: ClusterStatus, colours: Colours): string[] {
  const { total, assigned, releasing, released } = shards
  const [heading = '', ...lines] = table([
    ['NODE', 'ROLE', 'VERSION', 'STATUS', 'BUSY', 'QUEUED', 'SHARDS', 'LOAD', 'LAG', 'LAST BEAT'],
    ...nodes.map((node) => [
      ...[node.id, node.role, node.version, node.status, `${node.busy}/${node.capacity}`, String(node.queued)],
      ...[String(node.shards), String(node.load)],
      ...[node.lagMs, node.lastBeatMs].map((ms) => (ms === null ? '-' : duration(ms))),
    ]),
  ])
  return [
    ...fields(
      {
        leader: leader ? `${leader.node}, term ${leader.term}` : colours.red('nobody leads'),
        shards: `${total}: ${assigned} assigned, ${releasing} on the move, ${released} without an owner`,
        pins: `${pins} sessions finish a turn with a former owner of their shard`,
      },
      colours,
    ),
    '',
    ...(nodes.length === 0 ? ['no nodes'] : [colours.dim(heading), ...lines]),
  ]
}

export type ClusterRing = ReturnType<typeof ringOf>

/** `preferred`: of a worker's shards, those that the ring alone would give it. */
export function ringOf({ workers, assignments, loads }: ClusterState) {
  const owners = ownersOf(assignments)
  const takers = workers.filter(({ draining }) => !draining)
  const bounds = shareBounds({ shardCount: assignments.length, workers: takers })
  const ring = ringOwners(assignments.length, takers)
  const weights = loadsOf(owners, loads)
  const ids = [...new Set([...workers.map(({ id }) => id), ...owners.values()])]
  return {
    shards: assignments.length,
    unowned: assignments.filter(({ owner }) => owner === null).map(({ shard }) => shard),
    workers: ids.map((id) => {
      const shards = [...owners].filter(([, owner]) => owner === id).map(([shard]) => shard)
      const worker = workers.find((it) => it.id === id)
      const { share = 0, floor = 0, cap = 0 } = bounds.get(id) ?? {}
      return {
        id,
        weight: worker?.weight ?? 0,
        status: worker === undefined ? 'gone' : worker.draining ? 'draining' : 'live',
        ...{ shards, share: rounded(share), floor, cap },
        preferred: shards.filter((shard) => ring.get(shard) === id),
        load: rounded(shards.reduce((sum, shard) => sum + (weights.get(shard) ?? 0), 0)),
      }
    }),
  }
}

function ringLines({ shards, unowned, workers }: ClusterRing, colours: Colours): string[] {
  if (workers.length === 0) return [`no worker; ${shards} shards wait for one`]
  const [heading = '', ...lines] = table([
    ['WORKER', 'WEIGHT', 'STATUS', 'SHARDS', 'SHARE', 'BOUNDS', 'BY RING', 'LOAD', 'WHICH'],
    ...workers.map((it) => [
      ...[it.id, String(it.weight), it.status, String(it.shards.length), String(it.share), `${it.floor}-${it.cap}`],
      ...[String(it.preferred.length), String(it.load), ranges(it.shards)],
    ]),
  ])
  const missing = unowned.length === 0 ? [] : [colours.yellow(`without an owner: ${ranges(unowned)}`)]
  return [colours.dim(heading), ...lines, ...missing]
}

/** `0-3 7 9-12` */
export function ranges(numbers: readonly number[]): string {
  const parts: { first: number; last: number }[] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const part = parts.at(-1)
    if (part && number === part.last + 1) part.last = number
    else parts.push({ first: number, last: number })
  }
  return parts.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`)).join(' ')
}

const ownersOf = (assignments: ClusterState['assignments']): ReadonlyMap<number, string> =>
  new Map(
    assignments.flatMap(({ shard, owner, state }) => (owner === null || state === 'released' ? [] : [[shard, owner]])),
  )

const rounded = (value: number): number => Math.round(value * 10) / 10
