/**
 * The shards that this worker owns: claims what the cluster assigned to it, takes their unfinished work up, and lets go
 * of them in order.
 *
 *   assigned ──claim──▶ owned ──release──▶ released      refused at any time ──▶ dropped, then checked in Postgres
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, CommandBell, Refused, SessionLog } from '../bus/bus.js'
import type { ControlMessage } from '../cluster/cluster.js'
import type { Projector } from './projector.js'
import type { SessionHost } from './session-host.js'
import type { Logger } from './session-services.js'
import type { Takeover } from './turn.js'

/** A row of the authority, as far as its owner needs it. */
export interface OwnedShard {
  readonly shard: number
  readonly epoch: number
  readonly state: 'assigned' | 'releasing' | 'released'
  readonly previousOwner: string | undefined
}

export interface ShardOwnerOptions {
  readonly node: string
  readonly log: SessionLog
  readonly bell: CommandBell
  readonly host: SessionHost
  readonly projector: Projector
  readonly logger: Logger
  /** What Postgres assigns to this node now. */
  readonly assigned: () => Promise<readonly OwnedShard[]>
  /** Gives shards back: compare-and-set to `released`. */
  readonly release: (shards: readonly { readonly shard: number; readonly epoch: number }[]) => Promise<unknown>
  /** What is known of a shard's former owner. */
  readonly formerOwner: (node: string) => Promise<Takeover>
}

/** The assignments are read this often, because a control message may be lost. */
const POLL_MS = 1_000
const RETRY_MS = 200

export class ShardOwner {
  readonly #claims = new Map<number, Claim>()
  readonly #claiming = new Set<number>()
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #nextRound: Promise<void> | undefined
  #draining = false

  constructor(private readonly options: ShardOwnerOptions) {}

  async start(): Promise<void> {
    await this.poll()
    this.#timer = setInterval(() => void this.poll(), POLL_MS)
  }

  claimOf(shard: number): Claim | undefined {
    return this.#claims.get(shard)
  }

  get owned(): ReadonlyMap<number, Claim> {
    return this.#claims
  }

  /** A word from the coordinator only makes us look at once: Postgres decides. */
  obey(_message: ControlMessage): void {
    void this.poll()
  }

  /**
   * Takes up what is assigned, and gives back what is asked for and idle. Resolves after a round that began later than
   * this call: the round under way may have read the assignments before they changed.
   */
  poll(): Promise<void> {
    if (!this.#polling) return this.#startRound()
    this.#nextRound ??= this.#polling.then(() => {
      this.#nextRound = undefined
      return this.#startRound()
    })
    return this.#nextRound
  }

  #startRound(): Promise<void> {
    this.#polling = this.#round().finally(() => {
      this.#polling = undefined
    })
    return this.#polling
  }

  /** The store refused a write: stop using the shard at once, and let Postgres say whose it is. */
  refused(claim: Claim, refused: Refused | { readonly status: string }): void {
    if (this.#claims.get(claim.shard)?.epoch !== claim.epoch) return
    this.options.logger.warn({ shard: claim.shard, epoch: claim.epoch, refused }, 'a shard is lost to this worker')
    void this.#drop([claim], 'closed').then(() => this.poll())
  }

  /** The connection was lost and is back: the store may be another. Everything is claimed and read anew. */
  reinstallAll(): void {
    for (const shard of this.#claims.keys()) void this.reinstall(shard)
  }

  /** Installs a claim once more, as long as it is ours: cursor, inboxes and unprojected events are read again. */
  async reinstall(shard: number): Promise<void> {
    const claim = this.#claims.get(shard)
    while (claim && this.#claims.get(shard) === claim) {
      try {
        return await this.#install(claim, undefined, () => this.#claims.get(shard) === claim)
      } catch {
        // Redis is away, which its connection has logged.
        await sleep(RETRY_MS)
      }
    }
  }

  /** Lets go of all shards. Running turns end as they are recorded, and go on with the next owner. */
  async drain(): Promise<void> {
    clearInterval(this.#timer)
    this.#draining = true
    const claims = [...this.#claims.values()]
    await this.#drop(claims, 'draining')
    // Also what was assigned a moment ago and never claimed.
    await this.options.release(await this.options.assigned())
  }

  async #round(): Promise<void> {
    try {
      const rows = await this.options.assigned()
      await this.#dropUnassigned(new Map(rows.map((row) => [row.shard, row])))
      if (!this.#draining) await this.#claimAll(rows.filter((row) => this.#isNew(row)))
      await this.#releaseIdle(rows.filter((row) => row.state === 'releasing'))
    } catch (error) {
      this.options.logger.warn({ err: error }, 'assignments could not be read; trying again')
    }
  }

  #isNew(row: OwnedShard): boolean {
    return (
      row.state === 'assigned' && this.#claims.get(row.shard)?.epoch !== row.epoch && !this.#claiming.has(row.shard)
    )
  }

  async #dropUnassigned(assigned: ReadonlyMap<number, OwnedShard>): Promise<void> {
    const lost = [...this.#claims.values()].filter(({ shard, epoch }) => assigned.get(shard)?.epoch !== epoch)
    await this.#drop(lost, 'closed')
  }

  async #claimAll(rows: readonly OwnedShard[]): Promise<void> {
    if (rows.length === 0) return
    const former = new Map<string, Takeover>()
    for (const { previousOwner } of rows) {
      if (previousOwner !== undefined && !former.has(previousOwner)) {
        former.set(previousOwner, await this.options.formerOwner(previousOwner))
      }
    }
    const results = await Promise.allSettled(
      rows.map((row) => this.#claim(row, row.previousOwner === undefined ? undefined : former.get(row.previousOwner))),
    )
    const failed = results.filter((it) => it.status === 'rejected').length
    this.options.logger.info({ shards: rows.length - failed, failed, owned: this.#claims.size }, 'shards claimed')
  }

  async #claim(row: OwnedShard, takeover: Takeover | undefined): Promise<void> {
    const claim: Claim = { shard: row.shard, owner: this.options.node, epoch: row.epoch }
    this.#claiming.add(row.shard)
    try {
      await this.#install(claim, takeover, () => !this.#draining)
    } finally {
      this.#claiming.delete(row.shard)
    }
  }

  async #install(claim: Claim, takeover: Takeover | undefined, isWanted: () => boolean): Promise<void> {
    const { log, host, projector, bell } = this.options
    const claimed = await log.claim(claim)
    // Given away while the store was asked: what was dropped must not come back to life.
    if (!isWanted()) return
    if (claimed.status === 'fenced') {
      this.options.logger.warn({ shard: claim.shard, epoch: claim.epoch, stored: claimed.epoch }, 'a claim is fenced')
      return
    }
    this.#claims.set(claim.shard, claim)
    projector.adopt(claim, claimed.unprojected)
    host.recover(claim, claimed.active, takeover)
    bell.add(claim.shard)
  }

  async #releaseIdle(rows: readonly OwnedShard[]): Promise<void> {
    const idle = [...this.#claims.values()].filter(
      ({ shard, epoch }) =>
        rows.some((row) => row.shard === shard && row.epoch === epoch) && !this.options.host.isBusy(shard),
    )
    if (idle.length === 0) return
    await this.#drop(idle, 'closed')
    await this.options.release(idle.map(({ shard, epoch }) => ({ shard, epoch })))
  }

  async #drop(claims: readonly Claim[], reason: 'closed' | 'draining'): Promise<void> {
    if (claims.length === 0) return
    const shards = new Set(claims.map(({ shard }) => shard))
    // Stop reading before releasing: a command read after the release would run under a lost epoch.
    for (const shard of shards) {
      this.#claims.delete(shard)
      this.options.bell.remove(shard)
    }
    await this.options.host.drop(shards, reason)
    await this.options.projector.release(shards)
    // An unreachable store needs no goodbye: the epoch decides.
    await Promise.allSettled(claims.map((claim) => this.options.log.release(claim)))
  }
}
