/**
 * Decides which nodes are dead. Pure: it looks at beats and a clock that are handed in.
 */
import type { LiveNode } from '../cluster/cluster.js'
import { SILENT_AFTER_MS, Silence } from '../cluster/silence.js'
import type { NodeId } from '../protocol/ids.js'

/** A main loop that has not run for this long will not come back in time; its node cannot even answer its clients. */
export const STUCK_AFTER_MS = 8_000
/** A beat with this much lag is suspicious … */
const SUSPICIOUS_LAG_MS = 5_000
/** … and must be followed by others: a process that was suspended whole shows a large lag once, when it wakes. */
const SUSPICIOUS_FOR_MS = 2_000
/** When most nodes fall silent together it is rather the network or Redis: they get this long to be heard again. */
export const FREEZE_MS = 10_000
/** With fewer nodes "most" says nothing. */
const FREEZE_MIN_NODES = 3
const FREEZE_SHARE = 0.5

export interface Verdict {
  readonly dead: readonly NodeId[]
  /** True while nothing is to be moved: most nodes are silent, or Redis was another a moment ago. */
  readonly frozen: boolean
}

export class FailureDetector {
  readonly #silence = new Silence()
  /** Since when each node's beats have been suspicious. */
  readonly #suspiciousSince = new Map<NodeId, number>()
  #frozenAt: number | undefined
  #primary: string | undefined
  #primaryChangedAt = Number.NEGATIVE_INFINITY

  /**
   * Judges the nodes that Postgres lists as alive by the beats read at `now` (monotonic, ms). Call it about four times a
   * second: after a pause all nodes have their time anew. `primary` names the Redis that the beats were read from: one
   * that took over may have lost them, so whoever has not beaten there yet is not dead for a while.
   */
  judge(
    expected: readonly { readonly id: NodeId }[],
    beats: readonly LiveNode[],
    now: number,
    primary = this.#primary,
  ): Verdict {
    if (primary !== this.#primary && this.#primary !== undefined) this.#primaryChangedAt = now
    this.#primary = primary
    this.#silence.observe(beats, now)
    this.#forgetAllBut(new Set([...expected, ...beats].map(({ id }) => id)))
    const silent = expected.filter(({ id }) => this.#silence.silentMs(id, now) >= SILENT_AFTER_MS).map(({ id }) => id)
    const stuck = beats.filter((beat) => this.#isStuck(beat, now)).map(({ id }) => id)
    if (this.#freezes(silent.length, expected.length, now)) return { dead: [], frozen: true }
    const isNew = now - this.#primaryChangedAt < FREEZE_MS
    const lost = new Set([...silent, ...stuck])
    const dead = expected.map(({ id }) => id).filter((id) => lost.has(id) && (!isNew || this.#isHere(id)))
    return { dead, frozen: isNew }
  }

  #isHere(id: NodeId): boolean {
    return this.#silence.hasBeatenSince(id, this.#primaryChangedAt)
  }

  #freezes(silent: number, all: number, now: number): boolean {
    if (all < FREEZE_MIN_NODES || silent <= all * FREEZE_SHARE) {
      this.#frozenAt = undefined
      return false
    }
    this.#frozenAt ??= now
    return now - this.#frozenAt < FREEZE_MS
  }

  /** The beat thread lives, but the program behind it does not run. */
  #isStuck({ id, lagMs }: LiveNode, now: number): boolean {
    if (lagMs < SUSPICIOUS_LAG_MS) {
      this.#suspiciousSince.delete(id)
      return false
    }
    const since = this.#suspiciousSince.get(id) ?? now
    this.#suspiciousSince.set(id, since)
    return lagMs >= STUCK_AFTER_MS && now - since >= SUSPICIOUS_FOR_MS
  }

  #forgetAllBut(ids: ReadonlySet<NodeId>): void {
    this.#silence.keep(ids)
    for (const id of this.#suspiciousSince.keys()) {
      if (!ids.has(id)) this.#suspiciousSince.delete(id)
    }
  }
}
