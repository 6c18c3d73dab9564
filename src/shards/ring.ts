/**
 * Consistent hashing: a key belongs to the node whose point follows it on a circle of 2³² places, so a node that joins or
 * leaves moves only the keys next to its own points.
 */
import { createHash } from 'node:crypto'
import { keyHash } from './key-hash.js'

/** More points even out the load and cost memory; 160 keep the fullest of eight nodes within about 1.25 of the mean. */
const VIRTUAL_NODES = 160

/** One MD5 digest gives four points. MD5 only spreads here, it guards nothing. */
const POINTS_PER_DIGEST = 4

interface Points {
  /** Sorted, and at the same index the place of the owner in `names`. */
  readonly places: Uint32Array
  readonly owners: Uint32Array
  readonly names: readonly string[]
}

export class HashRing {
  readonly #weights = new Map<string, number>()
  #points: Points | undefined

  /** Adds a node, or changes its weight. A node of weight 2 gets about twice the keys of a node of weight 1. */
  addNode(name: string, weight = 1): void {
    if (!(weight > 0 && Number.isFinite(weight)))
      throw new RangeError(`weight of ${name} must be above 0, not ${weight}`)
    this.#weights.set(name, weight)
    this.#points = undefined
  }

  /** Removes a node; one that is not there leaves the ring as it is. */
  removeNode(name: string): void {
    if (this.#weights.delete(name)) this.#points = undefined
  }

  /** The node that `key` belongs to; undefined on an empty ring. Does not depend on the order in which nodes came. */
  getNode(key: string): string | undefined {
    for (const name of this.nodesFrom(key)) return name
    return undefined
  }

  /** All nodes once, in the order in which the circle meets them from `key` on: the first owns the key, the rest stand by. */
  *nodesFrom(key: string): Generator<string> {
    const { places, owners, names } = this.#built()
    const seen = new Set<number>()
    const start = firstAtOrAfter(places, keyHash(key))
    for (let step = 0; step < places.length && seen.size < names.length; step++) {
      const owner = owners[(start + step) % places.length] ?? 0
      const name = names[owner]
      if (name === undefined || seen.has(owner)) continue
      seen.add(owner)
      yield name
    }
  }

  #built(): Points {
    this.#points ??= build(this.#weights)
    return this.#points
  }
}

function build(weights: ReadonlyMap<string, number>): Points {
  // By name, so that two nodes with a point in the same place share it alike on every machine.
  const names = [...weights.keys()].sort()
  const points = names.flatMap((name, owner) =>
    pointsOf(name, weights.get(name) ?? 1).map((place) => ({ place, owner })),
  )
  points.sort((a, b) => a.place - b.place || a.owner - b.owner)
  return {
    places: Uint32Array.from(points, ({ place }) => place),
    owners: Uint32Array.from(points, ({ owner }) => owner),
    names,
  }
}

function pointsOf(name: string, weight: number): number[] {
  const count = Math.max(1, Math.round(VIRTUAL_NODES * weight))
  const points: number[] = []
  for (let digest = 0; points.length < count; digest++) {
    const bytes = createHash('md5').update(`${name}#${digest}`).digest()
    for (let part = 0; part < POINTS_PER_DIGEST && points.length < count; part++) {
      points.push(bytes.readUInt32LE(part * Uint32Array.BYTES_PER_ELEMENT))
    }
  }
  return points
}

/** Index of the first point at or after `place`, 0 when the circle closes. */
function firstAtOrAfter(places: Uint32Array, place: number): number {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((places[middle] ?? 0) < place) low = middle + 1
    else high = middle
  }
  return low === places.length ? 0 : low
}
