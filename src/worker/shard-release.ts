/**
 * Gives shards away while their sessions go on: idle ones end here and are found by the next owner; those in a turn stay
 * behind under a pin, and go when the turn has ended.
 *
 *   not read any more ─▶ idle sessions close ─▶ busy ones are pinned ─▶ word to the leader ─▶ (next owner claims)
 *
 * Between the first and the last step nobody accepts commands: nothing in between waits for a turn or for Postgres.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Handover, SessionLog } from '../bus/bus.js'
import type { ControlMessage } from '../cluster/cluster.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { PinHolder } from './pin-holder.js'
import type { Projector } from './projector.js'
import type { LiveSession } from './session.js'
import type { SessionHost } from './session-host.js'
import type { Logger } from './session-services.js'

export interface ShardReleaseOptions {
  readonly log: SessionLog
  /** Undefined in one process: turns are cut, as recorded. */
  readonly handover: Handover | undefined
  readonly host: SessionHost
  readonly projector: Projector
  readonly holder: PinHolder
  readonly logger: Logger
  readonly release: (shards: readonly Claim[]) => Promise<unknown>
  /** Who leads, when nobody asked for the shards. */
  readonly leader: () => Promise<NodeId | undefined>
  readonly send: (to: NodeId, message: ControlMessage) => Promise<void>
}

/** A store that fails over answers again within seconds; a turn that cannot be pinned is cut instead. */
const PIN_TRIES = 10
const PIN_RETRY_MS = 200
/** A leader that has heard has given the shards on by then, and the row changes nothing. */
const ROW_AFTER_MS = 250

export class ShardRelease {
  constructor(private readonly options: ShardReleaseOptions) {}

  /** The claims' shards are not read here any more. Resolves when others may have them. */
  async giveBack(claims: readonly Claim[], leader: NodeId | undefined): Promise<void> {
    const { host, projector, handover, log } = this.options
    const shards = new Set(claims.map(({ shard }) => shard))
    if (handover) await this.#leaveBusy(claims, await host.retire(shards), handover)
    else await host.drop(shards, 'draining')
    if (handover) projector.leave(claims)
    else await projector.release(claims)
    const told = await this.#tell(leader, claims)
    // An unreachable store needs no goodbye: the epoch decides.
    await Promise.allSettled(claims.map((claim) => log.release(claim)))
    // The row is for a leader that did not hear. Written at once it would hold up the one that did.
    if (told) await sleep(ROW_AFTER_MS)
    await this.options.release(claims)
  }

  async #leaveBusy(claims: readonly Claim[], busy: readonly LiveSession[], handover: Handover): Promise<void> {
    if (busy.length === 0) return
    await Promise.all(claims.map((claim) => this.#pin(claim, busy, handover)))
  }

  /** Pins the busy sessions of one shard. Those that cannot be pinned are cut after their last recorded step. */
  async #pin(claim: Claim, busy: readonly LiveSession[], handover: Handover): Promise<void> {
    const sessions = busy.filter((it) => it.claim.shard === claim.shard)
    if (sessions.length === 0) return
    const ids = sessions.map(({ id }) => id)
    const pinned = new Set(await this.#tryToPin(claim, ids, handover))
    await Promise.all(sessions.filter(({ id }) => !pinned.has(id)).map((it) => this.options.host.cut(it)))
    for (const it of sessions) if (pinned.has(it.id)) this.options.holder.hold(it)
  }

  async #tryToPin(claim: Claim, ids: readonly SessionId[], handover: Handover): Promise<readonly SessionId[]> {
    for (let tries = 0; tries < PIN_TRIES; tries++) {
      try {
        const reply = await handover.pin(claim, ids)
        return reply.status === 'ok' ? reply.pinned : []
      } catch {
        // Redis is away, which its connection has logged.
        await sleep(PIN_RETRY_MS)
      }
    }
    return []
  }

  /** Best effort: the leader looks at the rows too. False when nobody was told. */
  async #tell(leader: NodeId | undefined, claims: readonly Claim[]): Promise<boolean> {
    try {
      const to = leader ?? (await this.options.leader())
      const shards = claims.map(({ shard, epoch }) => ({ shard, epoch }))
      if (to !== undefined) await this.options.send(to, { type: 'released', shards })
      return to !== undefined
    } catch (error) {
      this.options.logger.warn(
        { err: error },
        'the leader could not be told of released shards; it finds out by itself',
      )
      return false
    }
  }
}
