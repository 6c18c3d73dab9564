/**
 * Edges are lost, and their clients come back: each waits as the client library does, goes to the edge with the fewest
 * connections, and is served when its turn comes. An edge that has too long a queue lets a client wait so long that it
 * gives up and tries again.
 */
import type { RandomInteger } from '../../src/chaos/seeded-random.js'

/** As src/client/reconnect.ts has them. */
const CLIENT = { firstPauseMs: 100, maxPauseMs: 5_000, openTimeoutMs: 10_000 } as const
const MS_PER_SECOND = 1_000
const TICK_MS = 10
const MAX_MS = 600_000
const RANDOM_STEPS = 1_000_000

export interface StormInput {
  readonly edges: number
  readonly lostEdges: number
  readonly clients: number
  readonly connectsPerSecond: number
  readonly random: RandomInteger
}

export interface StormResult {
  readonly cutOff: number
  /** When so many of the clients were back, in ms. */
  readonly halfMs: number
  readonly mostMs: number
  readonly allMs: number
  /** Tries that ended in the client's patience. */
  readonly retries: number
  /** In the busiest second, over all edges. */
  readonly resumesPerSecond: number
}

/** The share of clients that "most" means. */
const MOST = 0.99

export function storm({ edges, lostEdges, clients, connectsPerSecond, random }: StormInput): StormResult {
  const cutOff = Math.round((clients * lostEdges) / edges)
  // With every edge lost the same ones come back at once: a restart of the load balancer.
  const left = lostEdges === edges ? edges : edges - lostEdges
  const calls = new Calls(random)
  for (let client = 0; client < cutOff; client++) calls.schedule(0, 0)
  const perTick = (left * connectsPerSecond * TICK_MS) / MS_PER_SECOND
  const queue = new Queue()
  const served: number[] = []
  let [credit, retries] = [0, 0]
  for (let now = 0; served.length < cutOff && now < MAX_MS; now += TICK_MS) {
    for (const failures of calls.due(now)) queue.push(now, failures)
    credit = Math.min(credit + perTick, perTick + 1)
    while (credit >= 1 && queue.length > 0) {
      const { since, failures } = queue.shift()
      if (now - since <= CLIENT.openTimeoutMs) {
        served.push(now)
        credit -= 1
      } else {
        // Its socket is closed by then, which costs the edge next to nothing.
        retries++
        calls.schedule(now, failures + 1)
      }
    }
  }
  const at = (share: number): number => served[Math.ceil(share * cutOff) - 1] ?? MAX_MS
  return { cutOff, halfMs: at(0.5), mostMs: at(MOST), allMs: at(1), retries, resumesPerSecond: busiest(served) }
}

/** Clients by the tick in which they call. */
class Calls {
  readonly #ticks = new Map<number, number[]>()
  readonly #random: RandomInteger

  constructor(random: RandomInteger) {
    this.#random = random
  }

  schedule(now: number, failures: number): void {
    const pauseMs = Math.min(CLIENT.maxPauseMs, CLIENT.firstPauseMs * 2 ** failures)
    const wait = (pauseMs * this.#random(0, RANDOM_STEPS)) / RANDOM_STEPS
    const tick = Math.ceil((now + wait) / TICK_MS) + (failures > 0 ? 1 : 0)
    const calls = this.#ticks.get(tick)
    if (calls) calls.push(failures)
    else this.#ticks.set(tick, [failures])
  }

  /** How often each of those that call now has failed. */
  due(now: number): readonly number[] {
    const tick = now / TICK_MS
    const calls = this.#ticks.get(tick) ?? []
    this.#ticks.delete(tick)
    return calls
  }
}

interface Waiting {
  readonly since: number
  readonly failures: number
}

/** The oldest first, without moving the others. */
class Queue {
  readonly #waiting: Waiting[] = []
  #from = 0

  get length(): number {
    return this.#waiting.length - this.#from
  }

  push(since: number, failures: number): void {
    this.#waiting.push({ since, failures })
  }

  shift(): Waiting {
    return this.#waiting[this.#from++] as Waiting
  }
}

function busiest(served: readonly number[]): number {
  const seconds = new Map<number, number>()
  for (const ms of served) {
    const second = Math.floor(ms / MS_PER_SECOND)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  return Math.max(0, ...seconds.values())
}
