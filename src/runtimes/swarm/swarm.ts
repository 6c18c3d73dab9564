/**
 * The swarm of one session in the memory of its owner: every change is in the store before anybody hears of it.
 */
import { ServiceError } from '../../protocol/errors.js'
import { throughOutage } from '../../storage/outage.js'
import { parseSwarm, type SwarmState } from './swarm-state.js'

/** The part of storage that holds swarms; see storage/swarms.ts. */
export interface SwarmStore {
  load(sessionId: string): Promise<string | undefined>
  save(sessionId: string, epoch: number, body: string): Promise<boolean>
}

export interface SwarmOptions {
  readonly store: SwarmStore
  readonly sessionId: string
  readonly epoch: number
  /** What the session was spawned with, for the first owner. */
  readonly initial: Pick<SwarmState, 'topology' | 'maxAgents'>
}

export class Swarm {
  readonly #options: SwarmOptions
  #state: Promise<SwarmState> | undefined

  constructor(options: SwarmOptions) {
    this.#options = options
  }

  async state(): Promise<SwarmState> {
    this.#state ??= this.#load()
    return await this.#state
  }

  /** Applies a change after those that came before it. What `next` throws, or the store, leaves everything as it was. */
  async change(next: (state: SwarmState) => SwarmState): Promise<SwarmState> {
    const before = this.state()
    const after = before.then(async (state) => {
      const wanted = next(state)
      await this.#save(wanted)
      return wanted
    })
    this.#state = after.catch(() => before)
    return await after
  }

  async #load(): Promise<SwarmState> {
    const { store, sessionId, initial } = this.#options
    const stored = parseSwarm(await throughOutage(() => store.load(sessionId)))
    return stored ?? { ...initial, agents: [], tasks: [] }
  }

  async #save(state: SwarmState): Promise<void> {
    const { store, sessionId, epoch } = this.#options
    const isOurs = await throughOutage(() => store.save(sessionId, epoch, JSON.stringify(state)))
    if (!isOurs) throw new ServiceError('unavailable', { reason: 'another worker has taken the session over' })
  }
}
