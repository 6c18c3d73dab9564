/**
 * An edge that died while a session had nothing to say is still subscribed to it: who has such a session in memory looks from
 * time to time.
 */
import type { SessionLog } from '../bus/bus.js'
import type { SessionHost } from './session-host.js'

/** Nothing is sent to a gone edge meanwhile: the next word of the session would find out too. */
const LOOK_MS = 60_000

export class GoneEdges {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly log: Pick<SessionLog, 'dropGoneEdges'>,
    private readonly host: Pick<SessionHost, 'held'>,
  ) {}

  start(): void {
    this.#timer ??= setInterval(() => void this.#drop(), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #drop(): Promise<void> {
    const held = [...this.host.held()]
    // What a connection fails to do now is done in a minute.
    await Promise.allSettled(held.map(({ id, claim }) => this.log.dropGoneEdges(claim, id)))
  }
}
