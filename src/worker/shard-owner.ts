/**
 * The shards that this worker owns: claims what the cluster assigned to it, takes their unfinished work up, and lets go
 * of them in order.
 *
 *   assigned ──claim──▶ owned ──shard-release──▶ released      refused at any time ──▶ dropped, then checked in Postgres
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Claimed, ColdSession, CommandBell, Fenced, Refused, SessionLog } from '../bus/bus.js'
import type { ControlMessage, GrantedShard } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { PinWatch } from './pin-watch.js'
import type { Projector } from './projector.js'
import type { SessionHost } from './session-host.js'
import type { Logger } from './session-services.js'
import type { Takeover } from './turn-host.js'

/** A row of the authority, as far as its owner needs it. */
export interface OwnedShard extends GrantedShard {
  readonly state: 'assigned' | 'releasing' | 'released'
}

export interface ShardOwnerOptions {
  readonly node: NodeId
  readonly log: SessionLog
  readonly bell: CommandBell
  readonly host: SessionHost
  readonly projector: Projector
  readonly pins: Pick<PinWatch, 'track' | 'drop' | 'isPinned'>
  readonly logger: Logger
  /** What Postgres assigns to this node now. */
  readonly assigned: () => Promise<readonly OwnedShard[]>
  /** Says in Postgres that nobody has these shards any more. */
  readonly release: (shards: readonly { readonly shard: number; readonly epoch: number }[]) => Promise<unknown>
  /** Lifts the epoch of a shard that Postgres gives to this node, if it still does so under that epoch. */
  readonly raise: (shard: { readonly shard: number; readonly epoch: number }, toEpoch: number) => Promise<unknown>
  /** Hands over shards that are not read here any more; their busy sessions stay. `leader` waits for word of it. */
  readonly giveBack: (claims: readonly Claim[], leader: NodeId | undefined) => Promise<void>
  /** Commands wait for a session that the store does not hold: a former owner did not bring it back. */
  readonly onCold: (claim: Claim, cold: ColdSession) => void
  /** What is known of a shard's former owner. */
  readonly formerOwner: (node: NodeId) => Promise<Takeover>
  /** Whether this worker remembers writes of its own under this claim. */
  readonly remembers: (claim: Claim) => boolean
  /** Installs a claim that is new here; `former` had the shard before. */
  readonly claimNew: (claim: Claim, former: NodeId | undefined) => Promise<Claimed | Fenced>
  /**
   * Installs a claim that this worker has, unless the store is another than it was: there the epoch must not be raised before
   * those who wrote under lower ones have put back what is theirs.
   */
  readonly claimAgain: (claim: Claim) => Promise<Claimed | Fenced | undefined>
  /** A claim has been installed: it tells where the shard's cursor stands. */
  readonly onInstalled: (claim: Claim, claimed: Claimed, isNew: boolean) => void
  /** The store refused a claim's write because it has lost others, or is another one than it was. */
  readonly onStoreLost: (claim: Claim) => void
  readonly onDropped: (shard: number) => void
}

/** The assignments are read this often, because a control message may be lost. */
const POLL_MS = 1_000
const RETRY_MS = 200
/** How often somebody who leaves looks whether its shards have gone. */
const LEAVING_MS = 50

export class ShardOwner {
  readonly #claims = new Map<number, Claim>()
  readonly #claiming = new Set<number>()
  /** Who had the shards of claims that wait for what the store lacks. */
  readonly #untaken = new WeakMap<Claim, FormerOwner>()
  /** Shards that are being let go of. */
  readonly #leaving = new Set<number>()
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

  /** The leader says what it has written into Postgres: there is no need to read it there first. */
  obey(message: ControlMessage): void {
    if (message.type === 'claim') this.#logged(this.#claimAll(message.shards.filter((row) => this.#isNewer(row))))
    if (message.type === 'release') this.#logged(this.#giveBack(message.shards, message.leader))
  }

  /**
   * Takes up what is assigned, and gives back what is asked for. Resolves after a round that began later than this call:
   * the round under way may have read the assignments before they changed.
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
    this.#polling = this.#logged(this.#round()).finally(() => {
      this.#polling = undefined
    })
    return this.#polling
  }

  /**
   * The store refused a write. It has lost others: they are put back. Somebody else may write: stop using the shard at once,
   * and let Postgres say whose it is.
   */
  refused(claim: Claim, refused: Refused | { readonly status: string }): void {
    if (this.#claims.get(claim.shard)?.epoch !== claim.epoch) return
    if (refused.status === 'rollback') {
      this.options.onStoreLost(claim)
      return
    }
    this.options.logger.warn({ shard: claim.shard, epoch: claim.epoch, refused }, 'a shard is lost to this worker')
    void this.#drop([claim]).then(() => this.poll())
  }

  /** The connection was lost and is back: the store may be another. Everything is claimed and read anew. */
  reinstallAll(): void {
    for (const shard of this.#claims.keys()) void this.reinstall(shard)
  }

  /**
   * Installs a claim once more, as long as it is ours: cursor, inboxes and unprojected events are read again. A store that
   * is another one is restored first, unless it just was.
   */
  async reinstall(shard: number, isRestored = false): Promise<void> {
    const claim = this.#claims.get(shard)
    while (claim && this.#claims.get(shard) === claim) {
      try {
        const claimed = await (isRestored ? this.options.log.claim(claim) : this.options.claimAgain(claim))
        if (!claimed) return this.options.onStoreLost(claim)
        const formerOwner = this.#untaken.get(claim)
        return await this.#install(claim, claimed, formerOwner, () => this.#claims.get(shard) === claim, isRestored)
      } catch {
        // Redis is away, which its connection has logged.
        await sleep(RETRY_MS)
      }
    }
  }

  /** Waits until the leader has moved all shards away, as it does with those of a node that drains. */
  async leave(withinMs: number, hasSuccessor: () => boolean): Promise<void> {
    const deadline = performance.now() + withinMs
    while (this.#claims.size > 0 && hasSuccessor() && performance.now() < deadline) await sleep(LEAVING_MS)
  }

  /** Lets go of all shards that are left. Where sessions can be pinned, busy ones stay; else they end as recorded. */
  async drain(): Promise<void> {
    clearInterval(this.#timer)
    this.#draining = true
    await this.#giveBack([...this.#claims.values()], undefined)
    // Also what was assigned a moment ago and never claimed.
    await this.options.release(await this.options.assigned())
  }

  async #round(): Promise<void> {
    // What is claimed while the assignments are read may be too new to be among them.
    const before = [...this.#claims.values()]
    const rows = await this.options.assigned()
    await this.#dropUnassigned(before, new Map(rows.map((row) => [row.shard, row])))
    if (!this.#draining) await this.#claimAll(rows.filter((row) => row.state === 'assigned' && this.#isNewer(row)))
    const asked = rows.filter((row) => row.state === 'releasing')
    await this.#giveBack(asked, undefined)
    const unclaimed = asked.filter(({ shard }) => !this.#isTouched(shard))
    if (unclaimed.length > 0) await this.options.release(unclaimed)
  }

  /** False for a shard that was asked for before it was claimed, or could not be given back: nothing here writes to it. */
  #isTouched(shard: number): boolean {
    return this.#claims.has(shard) || this.#claiming.has(shard) || this.#leaving.has(shard)
  }

  async #logged(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.options.logger.warn({ err: error }, 'assignments could not be followed; trying again')
    }
  }

  #isNewer({ shard, epoch }: GrantedShard): boolean {
    // What is let go of must have gone before it comes back to this worker.
    const isOnTheWay = this.#claiming.has(shard) || this.#leaving.has(shard)
    return !this.#draining && !isOnTheWay && (this.#claims.get(shard)?.epoch ?? 0) < epoch
  }

  async #dropUnassigned(claims: readonly Claim[], assigned: ReadonlyMap<number, OwnedShard>): Promise<void> {
    const lost = claims.filter(
      (claim) => this.#claims.get(claim.shard) === claim && assigned.get(claim.shard)?.epoch !== claim.epoch,
    )
    await this.#drop(lost)
  }

  async #claimAll(rows: readonly GrantedShard[]): Promise<void> {
    if (rows.length === 0) return
    const former = new Map<NodeId, Promise<Takeover>>()
    const formerOwner = ({ previousOwner }: GrantedShard) => {
      if (previousOwner === undefined) return undefined
      const known = former.get(previousOwner) ?? this.options.formerOwner(previousOwner)
      former.set(previousOwner, known)
      known.catch(() => former.delete(previousOwner)) // Asked anew.
      return known
    }
    const results = await Promise.allSettled(rows.map((row) => this.#claim(row, () => formerOwner(row))))
    const failed = results.filter((it) => it.status === 'rejected').length
    this.options.logger.info({ shards: rows.length - failed, failed, owned: this.#claims.size }, 'shards claimed')
  }

  async #claim(row: GrantedShard, formerOwner: FormerOwner): Promise<void> {
    const claim: Claim = { shard: row.shard, owner: this.options.node, epoch: row.epoch }
    this.#claiming.add(row.shard)
    try {
      const claimed = await this.options.claimNew(claim, row.previousOwner)
      await this.#install(claim, claimed, formerOwner, () => !this.#draining)
    } finally {
      this.#claiming.delete(row.shard)
    }
  }

  async #install(
    claim: Claim,
    claimed: Claimed | Fenced,
    formerOwner: FormerOwner | undefined,
    isWanted: () => boolean,
    isRestored = false,
  ): Promise<void> {
    if (claimed.status === 'fenced') {
      this.options.logger.warn({ shard: claim.shard, epoch: claim.epoch, stored: claimed.epoch }, 'a claim is fenced')
      // Either the claim is old, and this changes nothing, or Postgres has forgotten epochs: the next round claims above.
      await this.options.raise(claim, claimed.epoch + 1)
      return
    }
    // The cursor that such a store tells would hide what it has lost.
    if (claimed.storeChanged && !isRestored && this.#hasWrittenUnder(claim)) {
      if (!isWanted()) return
      this.#claims.set(claim.shard, claim)
      if (formerOwner) this.#untaken.set(claim, formerOwner)
      this.options.onStoreLost(claim)
      return
    }
    // Given away while the store was asked: what was dropped must not come back to life.
    if (isWanted()) this.#takeUp(claim, claimed, formerOwner)
  }

  /** Also when it was given back meanwhile: one whose move was called off is granted again under its epoch. */
  #hasWrittenUnder(claim: Claim): boolean {
    return this.#claims.get(claim.shard) === claim || this.options.remembers(claim)
  }

  #takeUp(claim: Claim, claimed: Claimed, formerOwner: FormerOwner | undefined): void {
    const { host, projector, bell, pins, logger, onInstalled } = this.options
    onInstalled(claim, claimed, this.#claims.get(claim.shard) !== claim)
    this.#claims.set(claim.shard, claim)
    this.#untaken.delete(claim)
    logger.debug({ shard: claim.shard, epoch: claim.epoch }, 'a shard is read here')
    pins.track(claim, claimed.pins)
    projector.adopt(claim, claimed.unprojected)
    const unfinished = claimed.active.filter((id) => !pins.isPinned(id))
    if (unfinished.length > 0) host.recover(claim, unfinished, this.#toldOf(claim, formerOwner))
    for (const it of claimed.cold) this.options.onCold(claim, it)
    bell.add(claim.shard)
  }

  /** Unfinished sessions wait until somebody says who had them; their shard does not. */
  async #toldOf(claim: Claim, formerOwner: FormerOwner | undefined): Promise<Takeover | undefined> {
    for (;;) {
      try {
        return await formerOwner?.()
      } catch (error) {
        if (this.#claims.get(claim.shard) !== claim) throw error
        await sleep(RETRY_MS)
      }
    }
  }

  async #giveBack(shards: readonly { readonly shard: number; readonly epoch: number }[], leader: NodeId | undefined) {
    const claims = shards.flatMap(({ shard, epoch }) => {
      const claim = this.#claims.get(shard)
      return claim?.epoch === epoch ? [claim] : []
    })
    if (claims.length === 0) return
    await this.#letGo(claims, () => this.options.giveBack(claims, leader))
  }

  async #letGo(claims: readonly Claim[], goodbye: () => Promise<void>): Promise<void> {
    for (const { shard } of claims) this.#leaving.add(shard)
    try {
      this.#stopReading(claims)
      await goodbye()
    } finally {
      for (const { shard } of claims) this.#leaving.delete(shard)
    }
  }

  // Stop reading before releasing: a command read after the release would run under a lost epoch.
  #stopReading(claims: readonly Claim[]): void {
    for (const { shard, epoch } of claims) {
      this.#claims.delete(shard)
      this.options.bell.remove(shard)
      this.options.logger.debug({ shard, epoch }, 'a shard is not read here any more')
      this.options.onDropped(shard)
    }
    this.options.pins.drop(new Set(claims.map(({ shard }) => shard)))
  }

  async #drop(claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return
    const { host, projector, log } = this.options
    const shards = new Set(claims.map(({ shard }) => shard))
    await this.#letGo(claims, async () => {
      await host.drop(shards, 'closed')
      await projector.release(claims)
      // An unreachable store needs no goodbye: the epoch decides.
      await Promise.allSettled(claims.map((claim) => log.release(claim)))
    })
  }
}

type FormerOwner = () => Promise<Takeover> | undefined
