/**
 * Puts back what a store has lost: Redis that failed over to a replica, or came back from a file that was a moment old.
 *
 *   suspicion ─▶ Postgres: still ours? ─▶ former owners ─▶ epoch ─▶ accepted commands ─▶ commits and text ─▶ settled
 *
 * Meanwhile nobody accepts commands of the shard or loads its sessions; those in memory stay, and their writers wait.
 *
 * The order. What is lost is the end of what was written, so a session's store is a prefix of its history. Commands go back
 * before any commit, though some were accepted after it: commits take from the head of an inbox what acceptance adds at its
 * tail, so the lists end up the same, and every command that a lost commit ended is there to be taken. They go back before
 * anything new is accepted, so they keep their places before it. The cursor stays where the store has it: what still stands
 * in the command stream behind it is read once more, and answered as known, since its id is in `seen` by then. What a former
 * owner wrote came before all that is ours, and before our claim: it is asked to put it back first. Sessions that it holds
 * under a pin may need commands that we accepted: where it could not put back everything, it is asked once more after those.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Claimed, Fenced, Refused, SessionLog, StoreFailover, StoreWatch } from '../bus/bus.js'
import type { NodeId } from '../protocol/ids.js'
import type { Logger } from './session-services.js'
import type { OwnedShard } from './shard-owner.js'
import type { TailReplay } from './tail-replay.js'
import type { WriteTail } from './write-tail.js'

/** While a store is away, or Postgres cannot say whose the shard is. */
const RETRY_MS = 200
/** Owners ask at once, but for those that wait for Postgres; and what is kept longer is kept under the same bound of memory. */
const ASK_WITHIN_MS = 30_000

export interface StoreRecoveryOptions {
  readonly store: StoreFailover
  readonly log: Pick<SessionLog, 'claim'>
  readonly tail: WriteTail
  readonly replay: TailReplay
  /** Lets those who wrote before a claim put back theirs; false when they could not. */
  readonly askFormers: (claim: Claim, formers: Iterable<NodeId>) => Promise<boolean>
  readonly owned: () => ReadonlyMap<number, Claim>
  /** What Postgres assigns to this node now. */
  readonly assigned: () => Promise<readonly OwnedShard[]>
  /** Lifts the epoch of a shard in Postgres, where it still is this claim's. */
  readonly raise: (claim: Claim) => Promise<void>
  /** Everything is back: cursor, inboxes and unprojected events are to be read anew. */
  readonly onRestored: (claim: Claim) => Promise<void>
  /** The shard may be read again. */
  readonly onCleared: (shard: number) => void
  /** The shard is another's. */
  readonly onLost: (claim: Claim, refused: Refused | { readonly status: 'unassigned' }) => void
  readonly logger: Logger
}

type Attempt = 'restored' | 'lost' | 'again'

export class StoreRecovery {
  readonly #options: StoreRecoveryOptions
  readonly #watch: StoreWatch
  readonly #running = new Map<number, Promise<boolean>>()
  /** Shards of which the store may lack something that Postgres has: a former owner died with it, or our tail was short. */
  readonly #doubted = new Set<number>()
  /** Shards with sessions that others write, under a pin: what they have written is not in our tail. */
  readonly #shared = new Set<number>()
  #assigned: Promise<ReadonlyMap<number, OwnedShard>> | undefined
  #changedAt = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(options: StoreRecoveryOptions) {
    this.#options = options
    this.#watch = options.store.watch({
      onChanged: (isAffected) => this.#changed(isAffected),
      onSame: (isAffected) => options.tail.confirm((claim) => isAffected(claim.shard) && this.#isSettled(claim)),
    })
  }

  stop(): void {
    this.#stopped = true
    this.#watch.stop()
  }

  isRestoring(shard: number): boolean {
    return this.#running.has(shard)
  }

  /** Whether a session of this shard must be compared with Postgres when it is loaded. */
  isDoubted(shard: number): boolean {
    return this.#doubted.has(shard)
  }

  doubt(shard: number): void {
    this.#doubted.add(shard)
  }

  /** Others write in this shard too. */
  share(shard: number): void {
    this.#shared.add(shard)
  }

  /** The shard is not ours any more. */
  forget(shard: number): void {
    this.#doubted.delete(shard)
    this.#shared.delete(shard)
  }

  /** Claims a shard that is new here, after whoever had it has put back what another store lacks of it. */
  async claim(claim: Claim, former: NodeId | undefined): Promise<Claimed | Fenced> {
    const { store, log, tail, askFormers } = this.#options
    const formers = former === undefined ? [] : [former]
    let claimed = await store.claimSame(claim)
    if (!claimed) {
      const whole = await askFormers(claim, formers)
      claimed = await log.claim(claim)
      // What this worker itself has written under the claim is put back by `restore`.
      if (whole && !tail.remembers(claim) && claimed.status === 'ok' && (await store.settle(claim)).status === 'ok') {
        claimed = { ...claimed, storeChanged: false }
      }
    }
    if (claimed.status === 'ok') for (const node of formers) tail.follows(claim, node)
    return claimed
  }

  /** Resolves when nothing of the shard is being restored. */
  async cleared(shard: number): Promise<void> {
    await this.#running.get(shard)
  }

  /**
   * Something in the store contradicts what this owner has written. Resolves when it has everything back, to false when
   * the shard is another's. A suspicion that comes while the shard is being restored is cleared by that, or comes again.
   */
  restore(claim: Claim): Promise<boolean> {
    const { shard } = claim
    const present = this.#running.get(shard)
    if (present) return present
    const running = this.#untilDecided(claim).finally(() => {
      this.#running.delete(shard)
      this.#options.onCleared(shard)
    })
    this.#running.set(shard, running)
    return running
  }

  /** What was written under a claim that is over waits for the word of the next owner. */
  #isSettled(claim: Claim): boolean {
    if (this.#running.has(claim.shard)) return false
    return this.#isOurs(claim) || performance.now() - this.#changedAt > ASK_WITHIN_MS
  }

  #changed(isAffected: (shard: number) => boolean): void {
    this.#changedAt = performance.now()
    const claims = [...this.#options.owned().values()].filter(({ shard }) => isAffected(shard))
    if (claims.length === 0) return
    this.#options.logger.warn({ shards: claims.length }, 'another Redis answers; what it may lack is put back')
    for (const claim of claims) void this.restore(claim)
  }

  async #untilDecided(claim: Claim): Promise<boolean> {
    while (this.#isOurs(claim)) {
      const attempt = await this.#attempt(claim).catch((err: unknown): Attempt => {
        this.#options.logger.warn({ err, shard: claim.shard }, 'a shard could not be restored yet; trying again')
        return 'again'
      })
      // A store that is away refuses by itself.
      if (attempt === 'again') await this.#options.store.pause(claim).catch(() => undefined)
      if (attempt !== 'again') return attempt === 'restored'
      await sleep(RETRY_MS)
    }
    return false
  }

  #isOurs({ shard, epoch }: Claim): boolean {
    return !this.#stopped && this.#options.owned().get(shard)?.epoch === epoch
  }

  async #attempt(claim: Claim): Promise<Attempt> {
    const { log, tail, replay, askFormers, onLost, onRestored } = this.#options
    const row = (await this.#askPostgres()).get(claim.shard)
    if (row?.epoch !== claim.epoch) {
      onLost(claim, { status: 'unassigned' })
      return 'lost'
    }
    const formers = tail.formersOf(claim)
    const isWhole = await askFormers(claim, formers)
    const claimed = await log.claim(claim)
    if (claimed.status === 'fenced') {
      onLost(claim, claimed)
      return 'lost'
    }
    if (!(await replay.commands(claim))) return 'again'
    if (!isWhole && !(await askFormers(claim, formers))) this.doubt(claim.shard)
    const attempt = await this.#putBack(claim)
    if (attempt !== 'restored') return attempt
    if (!this.#isOurs(claim)) return 'again'
    await onRestored(claim)
    return 'restored'
  }

  /** One question for all that ask in this turn, asked after all of them: an older answer may name a former owner. */
  #askPostgres(): Promise<ReadonlyMap<number, OwnedShard>> {
    this.#assigned ??= Promise.resolve().then(async () => {
      this.#assigned = undefined
      return new Map((await this.#options.assigned()).map((row) => [row.shard, row]))
    })
    return this.#assigned
  }

  async #putBack(claim: Claim): Promise<Attempt> {
    const { store, replay } = this.#options
    if (this.#shared.has(claim.shard)) this.doubt(claim.shard)
    const results = await replay.writes(claim)
    if (results.has('again') || results.has('fenced')) return 'again'
    if (results.has('lost')) return await this.#forsake(claim)
    if (results.has('short')) this.doubt(claim.shard)
    // Of what is at rest nothing is remembered, here and in the other shards.
    if (results.has('older')) for (const shard of this.#options.owned().keys()) this.doubt(shard)
    if (this.#doubted.has(claim.shard)) return 'restored'
    return (await store.settle(claim)).status === 'ok' ? 'restored' : 'again'
  }

  /**
   * Events that were acknowledged are gone for good. What is written in their place must not bear their ids, or a client
   * that has seen them would never know: the shard goes on under its next epoch.
   */
  async #forsake(claim: Claim): Promise<Attempt> {
    const { tail, raise, onLost, logger } = this.#options
    logger.error({ shard: claim.shard, epoch: claim.epoch }, 'a Redis has lost events for good; a new epoch begins')
    await raise(claim)
    tail.forget(claim)
    onLost(claim, { status: 'unassigned' })
    return 'lost'
  }
}
