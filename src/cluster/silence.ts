/**
 * For how long each node has been silent, by the watcher's own monotonic clock: a beat counts when it is seen to change,
 * so no clock of another machine matters, however wrong.
 */
import type { NodeId } from '../protocol/ids.js'

/** A node that was not heard for this long does not count as alive: three beats. */
export const SILENT_AFTER_MS = 3_000
/** A watcher that looked away for longer (a pause, a lost connection) cannot tell silence from its own deafness. */
const WATCH_GAP_MS = 2_000

interface Heard {
  readonly beatAt: number
  /** When this beat was first seen. */
  readonly seenAt: number
  /** When the one before it was. */
  readonly beforeAt: number
}

export class Silence {
  readonly #heard = new Map<NodeId, Heard>()
  #lookedAt = Number.NEGATIVE_INFINITY
  #watchingSince = 0

  /** Takes note of the last beats, read at `now` (monotonic, ms). Nodes that are not among them are kept as silent. */
  observe(beats: readonly { readonly id: NodeId; readonly beatAt: number }[], now: number): void {
    if (now - this.#lookedAt > WATCH_GAP_MS) this.#watchingSince = now
    this.#lookedAt = now
    for (const { id, beatAt } of beats) {
      const last = this.#heard.get(id)
      if (last?.beatAt === beatAt) continue
      this.#heard.set(id, { beatAt, seenAt: now, beforeAt: last?.seenAt ?? Number.NEGATIVE_INFINITY })
    }
  }

  /** A node that was never heard counts from the first time that this is asked. */
  silentMs(id: NodeId, now: number): number {
    const heard = this.#heard.get(id) ?? { beatAt: 0, seenAt: now, beforeAt: Number.NEGATIVE_INFINITY }
    this.#heard.set(id, heard)
    return now - Math.max(heard.seenAt, this.#watchingSince)
  }

  /** Whether a node has beaten since then: the first change may be an old beat, as a server that took over has it. */
  hasBeatenSince(id: NodeId, since: number): boolean {
    return (this.#heard.get(id)?.beforeAt ?? Number.NEGATIVE_INFINITY) > since
  }

  /** Forgets all other nodes. */
  keep(ids: ReadonlySet<NodeId>): void {
    for (const id of this.#heard.keys()) {
      if (!ids.has(id)) this.#heard.delete(id)
    }
  }
}
