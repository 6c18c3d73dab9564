/**
 * Which runtime carries out the tasks of a session: decided by its type.
 */
import { ServiceError } from '../protocol/errors.js'
import type { SessionType } from '../protocol/session.js'
import type { Runtime } from './runtime.js'

export class Runtimes {
  readonly #byType: Readonly<Partial<Record<SessionType, Runtime>>>

  constructor(byType: Readonly<Partial<Record<SessionType, Runtime>>>) {
    this.#byType = byType
  }

  /** @throws ServiceError `runtime_missing` for a type that this process cannot run. */
  of(type: SessionType): Runtime {
    const runtime = this.#byType[type]
    if (runtime !== undefined) return runtime
    const known = Object.keys(this.#byType).join(', ')
    throw new ServiceError('runtime_missing', { type, reason: `this worker has runtimes for ${known || 'no type'}` })
  }
}
