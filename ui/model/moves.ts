/**
 * What has moved between two pictures of the cluster: shards that changed hands, nodes that came or went.
 */
import type { ClusterPicture, PastMove } from './shapes.js'

export interface Move {
  readonly id: number
  /** ms since 1970, when we saw it. */
  readonly at: number
  readonly kind: 'shards' | 'joined' | 'left' | 'leader'
  readonly shards: readonly number[]
  readonly from: string | undefined
  readonly to: string | undefined
}

/** Moves that are kept: an afternoon of a busy cluster. */
export const MAX_MOVES = 200

const MS_PER_SECOND = 1_000

let count = 0
const move = (kind: Move['kind'], from: string | undefined, to: string | undefined, shards: number[] = []): Move => ({
  ...{ id: ++count, at: Date.now(), kind, shards, from, to },
})

export function movesBetween(before: ClusterPicture, after: ClusterPicture): readonly Move[] {
  const [old, now] = [namesOf(before), namesOf(after)]
  return [
    ...[...now].filter((id) => !old.has(id)).map((id) => move('joined', undefined, id)),
    ...[...old].filter((id) => !now.has(id)).map((id) => move('left', id, undefined)),
    ...(before.leader === after.leader ? [] : [move('leader', before.leader ?? undefined, after.leader ?? undefined)]),
    ...shardMoves(before, after),
  ]
}

/** Moves of before, as the service remembers them: those of one moment that went the same way are one. */
export function pastMoves(past: readonly PastMove[]): readonly Move[] {
  const ways = new Map<string, Move & { shards: number[] }>()
  for (const { shard, from, to, at } of past) {
    // Whoever was the first to have it got it from nobody: nothing has moved.
    if (at === null || from === null) continue
    const second = Math.floor(Date.parse(at) / MS_PER_SECOND)
    const way = `${second} ${from}>${to}`
    const known = ways.get(way) ?? {
      ...move('shards', from ?? undefined, to ?? undefined),
      shards: [],
      at: Date.parse(at),
    }
    ways.set(way, known)
    known.shards.push(shard)
  }
  return [...ways.values()]
}

const namesOf = ({ nodes }: ClusterPicture): ReadonlySet<string> => new Set(nodes.map(({ id }) => id))

/** Shards that went the same way together are one move. */
function shardMoves(before: ClusterPicture, after: ClusterPicture): Move[] {
  const owners = new Map(before.shards.map(({ shard, owner }) => [shard, owner]))
  const ways = new Map<string, Move & { shards: number[] }>()
  for (const { shard, owner } of after.shards) {
    const former = owners.get(shard)
    if (former === undefined || former === owner) continue
    const way = `${former}>${owner}`
    const known = ways.get(way) ?? { ...move('shards', former ?? undefined, owner ?? undefined), shards: [] }
    ways.set(way, known)
    known.shards.push(shard)
  }
  return [...ways.values()]
}

/** `0-3, 7, 9-12` */
export function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const part = parts.at(-1)
    if (part && number === part[1] + 1) part[1] = number
    else parts.push([number, number])
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ')
}

export function sentence({ kind, shards, from, to }: Move): string {
  if (kind === 'joined') return `${shortName(to)} joined`
  if (kind === 'left') return `${shortName(from)} left`
  if (kind === 'leader') return to === undefined ? 'Nobody leads' : `${shortName(to)} leads`
  const what = shards.length === 1 ? `Shard ${shards[0]}` : `${shards.length} shards`
  if (to === undefined) return `${what} without an owner, before: ${shortName(from)}`
  return from === undefined ? `${what} went to ${shortName(to)}` : `${what}: ${shortName(from)} → ${shortName(to)}`
}

/** A node's name without its incarnation. */
export const shortName = (id: string | undefined): string => id?.replace(/@[^@]*$/, '') ?? 'nobody'
