/**
 * Turns that outlive the ownership of their shard: the session stays here, pinned, until its turn has ended. Control
 * commands that the new owner accepts meanwhile are obeyed here; tasks wait for the new owner.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Handover } from '../bus/bus.js'
import type { ControlMessage } from '../cluster/cluster.js'
import { type NodeId, type SessionId, shardOfSession } from '../protocol/ids.js'
import type { LiveSession } from './session.js'
import type { SessionHost } from './session-host.js'
import type { Logger } from './session-services.js'

export interface PinHolderOptions {
  readonly node: NodeId
  readonly handover: Handover | undefined
  readonly host: Pick<SessionHost, 'catchUp' | 'cut' | 'forgetRetired'>
  readonly logger: Logger
  /** Who owns a shard now. */
  readonly ownerOf: (shard: number) => Promise<NodeId | undefined>
  readonly send: (to: NodeId, message: ControlMessage) => Promise<void>
}

const UNPIN_RETRY_MS = 200
/** Tries to end a pin for a minute; after that the new owner's reminders make us try again. */
const UNPIN_TRIES = 300

export class PinHolder {
  readonly #held = new Map<SessionId, { readonly session: LiveSession; readonly ended: Promise<void> }>()

  constructor(private readonly options: PinHolderOptions) {}

  /** Lets a pinned session's turn end, then gives the session to the owner of its shard. */
  hold(session: LiveSession): void {
    const ended = this.#seeOff(session).catch((error: unknown) => {
      this.options.logger.error({ err: error, sessionId: session.id }, 'a pinned session could not be given away')
    })
    this.#held.set(session.id, { session, ended })
  }

  /** A new owner reminds us of sessions that are pinned to this node. One that is not here any more is unpinned. */
  obey(sessionIds: readonly SessionId[]): void {
    for (const id of sessionIds) {
      const held = this.#held.get(id)
      if (held) void this.options.host.catchUp(held.session)
      else void this.#unpinForgotten(id).catch(() => undefined) // Redis is away; the owner reminds us again.
    }
  }

  /** Waits for all turns, at most so long; what is left then is cut after its last recorded step and goes on elsewhere. */
  async drain(withinMs: number): Promise<void> {
    const all = Promise.all([...this.#held.values()].map(({ ended }) => ended))
    const late = new AbortController()
    await Promise.race([all, sleep(withinMs, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    if (this.#held.size > 0)
      this.options.logger.warn({ turns: this.#held.size }, 'turns are cut: the time to end is over')
    const left = [...this.#held.values()]
    await Promise.all(left.map(({ session }) => this.options.host.cut(session)))
    await Promise.all(left.map(({ ended }) => ended))
  }

  async #seeOff(session: LiveSession): Promise<void> {
    await session.finishTurn()
    this.options.host.forgetRetired(session)
    await this.#unpin(session.claim, session.id)
    this.#held.delete(session.id)
  }

  async #unpin(claim: Claim, id: SessionId): Promise<void> {
    for (let tries = 0; tries < UNPIN_TRIES; tries++) {
      try {
        await this.options.handover?.unpin(claim, [id])
        return await this.#tellOwner(claim.shard, id)
      } catch {
        // Redis is away, which its connection has logged.
        await sleep(UNPIN_RETRY_MS)
      }
    }
  }

  async #unpinForgotten(id: SessionId): Promise<void> {
    const { handover, node } = this.options
    const shard = shardOfSession(id)
    if (!handover || shard === undefined) return
    const pin = (await handover.pins(shard)).pins.find((it) => it.sessionId === id && it.node === node)
    // Asked again: it may have been pinned while the store answered.
    if (pin && !this.#held.has(id)) await this.#unpin({ shard, owner: node, epoch: pin.epoch }, id)
  }

  /** Best effort: the owner looks once a second. */
  async #tellOwner(shard: number, id: SessionId): Promise<void> {
    try {
      const owner = await this.options.ownerOf(shard)
      if (owner !== undefined) await this.options.send(owner, { type: 'unpinned', sessions: [id] })
    } catch (error) {
      this.options.logger.warn({ err: error, sessionId: id }, 'the owner of a session could not be told; it finds out')
    }
  }
}
