/**
 * What a worker looks after from time to time, beside what it is told: spawns that nobody submitted, edges that are gone,
 * and sessions at rest.
 */
import type { Claim, Refused } from '../bus/bus.js'
import { ForgottenSpawns } from './forgotten-spawns.js'
import { GoneEdges } from './gone-edges.js'
import { Hibernation } from './hibernation.js'
import type { Projector } from './projector.js'
import type { SessionHost } from './session-host.js'
import type { WorkerOptions } from './worker-options.js'

export interface UpkeepParts {
  readonly options: WorkerOptions
  readonly host: SessionHost
  readonly projector: Projector
  readonly owned: () => ReadonlyMap<number, Claim>
  readonly onRefused: (claim: Claim, refused: Refused) => void
}

export class Upkeep {
  readonly #forgotten: ForgottenSpawns
  readonly #goneEdges: GoneEdges
  readonly #hibernation: Hibernation

  constructor({ options, host, projector, owned, onRefused }: UpkeepParts) {
    const { bus, storage, hibernateAfterMs, logger } = options
    this.#forgotten = new ForgottenSpawns({
      ...{ commands: bus.commands, logger },
      owned: () => [...owned().keys()],
      unsubmitted: (...about) => storage.unsubmitted(...about),
    })
    this.#goneEdges = new GoneEdges(bus.log, host)
    this.#hibernation = new Hibernation({
      ...{ log: bus.log, storage: storage.dormant, idleMs: hibernateAfterMs, owned, onRefused, logger },
      letGo: (id) => host.letGo(id),
      onUnprojected: (claim, id) => projector.adopt(claim, [id]),
    })
  }

  start(): void {
    this.#forgotten.start()
    this.#hibernation.start()
    this.#goneEdges.start()
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    this.#forgotten.stop()
    this.#goneEdges.stop()
    await this.#hibernation.stop()
  }

  /** Lets sessions at rest leave the bus now. Never rejects. */
  hibernateIdle(): Promise<void> {
    return this.#hibernation.sweep()
  }
}
