/**
 * Sessions of this worker's shards that a former owner still writes. Their commands wait in the inbox; control commands
 * are brought to the holder's notice; when the pin has ended, or its holder is dead, the session is taken up here.
 */
import type { AcceptedCommand, Claim, Handover, Pin } from '../bus/bus.js'
import { isControl } from '../bus/command.js'
import type { ControlMessage } from '../cluster/cluster.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { Logger } from './session-services.js'
import type { Takeover } from './turn-host.js'

export interface PinWatchOptions {
  readonly handover: Handover | undefined
  readonly logger: Logger
  /** When a node ended and how; undefined while it lives. */
  readonly ending: (node: NodeId) => Promise<object | undefined>
  readonly formerOwner: (node: NodeId) => Promise<Takeover>
  readonly send: (to: NodeId, message: ControlMessage) => Promise<void>
  /** The session is this worker's now. */
  readonly onFree: (claim: Claim, sessionId: SessionId, takeover: Takeover) => void
}

/** A word of the holder may be lost. */
const LOOK_MS = 1_000

type HasEnded = (node: NodeId) => Promise<boolean>

export class PinWatch {
  readonly #pins = new Map<SessionId, { readonly claim: Claim; readonly pin: Pin }>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #again = false

  constructor(private readonly options: PinWatchOptions) {}

  /** Pins that a claim has found. */
  track(claim: Claim, pins: readonly Pin[]): void {
    for (const pin of pins) this.#pins.set(pin.sessionId, { claim, pin })
    if (this.#pins.size === 0) return
    this.#timer ??= setInterval(() => this.look(), LOOK_MS)
    // The holder may be dead already, or control commands may have been accepted before this claim.
    if (pins.length > 0) this.look()
  }

  /** The shards are not ours any more. */
  drop(shards: ReadonlySet<number>): void {
    for (const [id, { claim }] of this.#pins) if (shards.has(claim.shard)) this.#pins.delete(id)
    this.#restWhenDone()
  }

  isPinned(sessionId: SessionId): boolean {
    return this.#pins.has(sessionId)
  }

  /** Of accepted commands, those that may be delivered here. The others wait, and their holder hears of control. */
  withhold(commands: readonly AcceptedCommand[]): readonly AcceptedCommand[] {
    if (this.#pins.size === 0) return commands
    const waiting = commands.filter(({ submission }) => this.#pins.has(submission.sessionId))
    const urgent = waiting.filter(({ submission }) => isControl(submission.type))
    for (const { submission } of urgent) this.#remind(submission.sessionId)
    return waiting.length === 0 ? commands : commands.filter((it) => !waiting.includes(it))
  }

  /** Looks at all pins now: a holder has said that one has ended, or has died. */
  look(): void {
    this.#again = true
    this.#looking ??= this.#lookUntilStill().finally(() => {
      this.#looking = undefined
    })
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#pins.clear()
    await this.#looking
  }

  async #lookUntilStill(): Promise<void> {
    while (this.#again) {
      this.#again = false
      const claims = new Set([...this.#pins.values()].map(({ claim }) => claim))
      const hasEnded = this.#onceForEachNode()
      for (const claim of claims) await this.#lookAt(claim, hasEnded)
    }
    this.#restWhenDone()
  }

  /** Asks Postgres once for all sessions that a node holds. */
  #onceForEachNode(): HasEnded {
    const asked = new Map<NodeId, Promise<boolean>>()
    return (node) => {
      const answer = asked.get(node) ?? this.options.ending(node).then((it) => it !== undefined)
      asked.set(node, answer)
      return answer
    }
  }

  async #lookAt(claim: Claim, hasEnded: HasEnded): Promise<void> {
    try {
      const found = await this.options.handover?.pins(claim.shard)
      // A store that does not have our claim may have lost pins with it: they are put back before it is claimed again.
      if (!found || found.epoch !== claim.epoch) return
      const present = new Set(found.pins.map(({ sessionId }) => sessionId))
      for (const [id, watched] of [...this.#pins]) {
        if (watched.claim !== claim) continue
        if (present.has(id)) await this.#lookAfter(id, watched.pin, claim, hasEnded)
        else this.#free(id, claim, { fromWorker: watched.pin.node, afterMs: 0, planned: true })
      }
    } catch (error) {
      this.options.logger.warn({ err: error, shard: claim.shard }, 'pins could not be looked at; trying again')
    }
  }

  /** A holder that lives is reminded: it obeys what waits, or ends a pin that it has forgotten. */
  async #lookAfter(id: SessionId, pin: Pin, claim: Claim, hasEnded: HasEnded): Promise<void> {
    const { formerOwner, handover } = this.options
    if (!(await hasEnded(pin.node))) return this.#remind(id)
    const takeover = await formerOwner(pin.node)
    // From here the dead node's writes are refused.
    const unpinned = await handover?.unpin(claim, [id])
    if (unpinned?.includes(id)) this.#free(id, claim, takeover)
  }

  #remind(id: SessionId): void {
    const watched = this.#pins.get(id)
    if (!watched) return
    // Lost, it is said again in a second.
    this.options.send(watched.pin.node, { type: 'pinned', sessions: [id] }).catch(() => undefined)
  }

  #free(id: SessionId, claim: Claim, takeover: Takeover): void {
    if (this.#pins.get(id)?.claim !== claim) return
    this.#pins.delete(id)
    this.options.onFree(claim, id, takeover)
  }

  #restWhenDone(): void {
    if (this.#pins.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
