/**
 * Sessions that an edge reserved and did not submit, because it died between the two steps: their spawns are submitted by the
 * worker that would run them.
 */
import type { CommandStream } from '../bus/bus.js'
import type { Outbox } from '../bus/command.js'
import type { Logger } from './session-services.js'

export interface Reservation {
  readonly sessionId: string
  readonly tenant: string
  /** JSON of the spawn command. */
  readonly spawn: string
}

export interface ForgottenSpawnsOptions {
  readonly commands: Pick<CommandStream, 'submit'>
  /** Shards that are this worker's. */
  readonly owned: () => readonly number[]
  /** Reserved sessions of these shards that no edge submitted in time. */
  readonly unsubmitted: (
    shards: readonly number[],
    olderThanMs: number,
    limit: number,
  ) => Promise<readonly Reservation[]>
  readonly logger: Logger
}

/** An edge has this long between reserving a session and submitting it; they are looked for as often. */
const UNSUBMITTED_MS = 10_000
/** In one look. */
const BATCH = 100
/** Nobody listens there: the edge that asked is gone. */
const NO_OUTBOX: Outbox = 'nobody@-0'

export class ForgottenSpawns {
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: ForgottenSpawnsOptions) {}

  start(): void {
    this.#timer ??= setInterval(() => void this.#submit(), UNSUBMITTED_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #submit(): Promise<void> {
    const { commands, owned, unsubmitted, logger } = this.options
    try {
      for (const { sessionId, tenant, spawn: body } of await unsubmitted(owned(), UNSUBMITTED_MS, BATCH)) {
        const route = { sessionId, commandId: sessionId, tenant, outbox: NO_OUTBOX, fresh: false, body }
        await commands.submit({ ...route, type: 'spawn' })
      }
    } catch (error) {
      logger.warn({ err: error }, 'forgotten spawns could not be submitted; trying again')
    }
  }
}
