/**
 * What the roles of one process have in common. The memory and the charter are opened by the first role that asks.
 */
import type { Charter } from '../charter/schema.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { OpenCharter } from './charter-parts.js'
import type { OpenMemory } from './memory-parts.js'
import type { Foundation, Planes } from './planes.js'

export interface NodeFitting {
  readonly foundation: Foundation
  readonly planes: Planes
  readonly metrics: Metrics
  /** Undefined where nobody collects traces. */
  readonly tracing: Tracing | undefined
  /** Known where sessions run, and where they are shown. */
  readonly charter: Charter | undefined
}

export class NodeParts {
  readonly foundation: Foundation
  readonly planes: Planes
  readonly metrics: Metrics
  readonly tracing: Tracing | undefined
  readonly #ownCharter: Charter | undefined
  #charter: Promise<OpenCharter> | undefined
  #memory: Promise<OpenMemory> | undefined

  constructor({ foundation, planes, metrics, tracing, charter }: NodeFitting) {
    this.foundation = foundation
    this.planes = planes
    this.metrics = metrics
    this.tracing = tracing
    this.#ownCharter = charter
  }

  /** The charter in force, with that of the organisation above it. */
  charter(): Promise<OpenCharter> {
    this.#charter ??= import('./charter-parts.js').then(({ openCharter }) =>
      openCharter(this.foundation, this.#ownCharter),
    )
    return this.#charter
  }

  memory(): Promise<OpenMemory> {
    const { config, log } = this.foundation
    this.#memory ??= import('./memory-parts.js').then(({ openMemory }) =>
      openMemory({ config, log, database: this.planes.database, metrics: this.metrics.memory }),
    )
    return this.#memory
  }
}
