/**
 * The books of the load over all clients: what was sent, what has ended, and which sessions still feel a fault. What
 * guarantees are judged by stands in the journals, not here.
 */
import type { ClientListener } from './load-client.js'
import type { LoadSession, OpenCommand } from './load-session.js'
import type { Counts, InFlight } from './plan.js'

export class Books implements ClientListener {
  readonly counts: Counts = { sent: 0, ended: 0, refused: 0, repeated: 0, duplicates: 0 }
  /** By error code. */
  readonly refusals: Record<string, number> = {}
  /** The owner that each session had when a fault hit it. */
  readonly #hit = new Map<LoadSession, number>()

  /** Sessions that a fault hit and that have not gone on. */
  get waiting(): number {
    return this.#hit.size
  }

  /** Sessions with accepted commands are watched until another owner goes on with them, or nothing is left to do. */
  faultBegan(hit: readonly LoadSession[]): InFlight {
    let commands = 0
    for (const session of hit) {
      const accepted = acceptedOf(session)
      if (accepted === 0) continue
      commands += accepted
      this.#hit.set(session, session.epoch)
    }
    return { sessions: this.#hit.size, commands }
  }

  faultHealed(): void {
    this.#hit.clear()
  }

  sent(): void {
    this.counts.sent++
  }

  repeated(): void {
    this.counts.repeated++
  }

  refused(code: string, final: boolean): void {
    this.refusals[code] = (this.refusals[code] ?? 0) + 1
    if (final) this.counts.refused++
  }

  ended(session: LoadSession): void {
    this.counts.ended++
    if (session.open.size === 0) this.#hit.delete(session)
  }

  progressed(session: LoadSession): void {
    const epoch = this.#hit.get(session)
    if (epoch !== undefined && session.epoch > epoch) this.#hit.delete(session)
  }
}

export const acceptedOf = ({ open }: LoadSession): number =>
  [...open.values()].filter(({ accepted }: OpenCommand) => accepted).length
