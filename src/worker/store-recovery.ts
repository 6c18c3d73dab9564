/**
 * Puts back what a store has lost: Redis that failed over to a replica, or came back from a file that was a moment old.
 *
 *   suspicion ─▶ Postgres: still ours? ─▶ epoch ─▶ accepted commands ─▶ commits and text ─▶ settled ─▶ shard goes on
 *
 * Meanwhile nobody accepts commands of the shard or loads its sessions; those in memory stay, and their writers wait.
 *
 * The order. What is lost is the end of what was written, so a session's store is a prefix of its history. Commands go back
 * before any commit, though some were accepted after it: commits take from the head of an inbox what acceptance adds at its
 * tail, so the lists end up the same, and every command that a lost commit ended is there to be taken. They go back before
 * anything new is accepted, so they keep their places before it. The cursor stays where the store has it: what still stands
 * in the command stream behind it is read once more, and answered as known, since its id is in `seen` by then.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, Refused, SessionLog, StoreFailover, StoreWatch } from '../bus/bus.js'
import type { Logger } from './session-services.js'
import type { OwnedShard } from './shard-owner.js'
import { TailReplay, type TailReplayOptions } from './tail-replay.js'
import type { WriteTail } from './write-tail.js'

/** While a store is away, or Postgres cannot say whose the shard is. */
const RETRY_MS = 200
/** Commands in one call: some 10 µs of the server each. */
const COMMANDS_PER_CALL = 128
/** Bodies in one call. A single larger one goes alone. */
const CHARS_PER_CALL = 256 * 1024
/** Sessions whose writes are put back at once: enough to fill calls, few enough for the deadline of a command. */
const SESSIONS_AT_ONCE = 128

export interface StoreRecoveryOptions {
  readonly store: StoreFailover
  readonly log: Pick<SessionLog, 'claim' | 'commit' | 'flush' | 'peek'>
  readonly tail: WriteTail
  readonly owned: () => ReadonlyMap<number, Claim>
  /** What Postgres assigns to this node now. */
  readonly assigned: () => Promise<readonly OwnedShard[]>
  readonly forward: TailReplayOptions['forward']
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
  readonly #replay: TailReplay
  readonly #running = new Map<number, Promise<boolean>>()
  /** Shards of which the store may lack something that Postgres has: a former owner died with it, or our tail was short. */
  readonly #doubted = new Set<number>()
  /** Shards with sessions that others write, under a pin: what they have written is not in our tail. */
  readonly #shared = new Set<number>()
  #assigned: Promise<ReadonlyMap<number, OwnedShard>> | undefined
  #stopped = false

  constructor(options: StoreRecoveryOptions) {
    this.#options = options
    this.#replay = new TailReplay(options)
    this.#watch = options.store.watch({
      onChanged: (isAffected) => this.#changed(isAffected),
      onSame: (isAffected) => options.tail.confirm((shard) => isAffected(shard) && !this.#running.has(shard)),
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
    this.#options.tail.forget(shard)
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

  #changed(isAffected: (shard: number) => boolean): void {
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
    const { log, onLost, onRestored } = this.#options
    const row = (await this.#askPostgres()).get(claim.shard)
    if (row?.epoch !== claim.epoch) {
      onLost(claim, { status: 'unassigned' })
      return 'lost'
    }
    const claimed = await log.claim(claim)
    if (claimed.status === 'fenced') {
      onLost(claim, claimed)
      return 'lost'
    }
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
    const { store, tail } = this.#options
    if (this.#shared.has(claim.shard)) this.doubt(claim.shard)
    for (const commands of chunks(tail.commandsOf(claim.shard))) {
      if ((await store.restore(claim, commands)).status !== 'ok') return 'again'
    }
    const sessions = [...tail.writesOf(claim.shard)]
    for (let at = 0; at < sessions.length; at += SESSIONS_AT_ONCE) {
      const some = sessions.slice(at, at + SESSIONS_AT_ONCE)
      // Sessions do not know of each other: only the writes of each must come in their order.
      const all = await Promise.all(some.map(([id, writes]) => this.#replay.run(claim, id, writes)))
      if (all.includes('again')) return 'again'
      if (all.includes('lost')) return await this.#forsake(claim)
      if (all.includes('short')) this.doubt(claim.shard)
      // Of what is at rest nothing is remembered, here and in the other shards.
      if (all.includes('older')) for (const shard of this.#options.owned().keys()) this.doubt(shard)
    }
    if (this.#doubted.has(claim.shard)) return 'restored'
    return (await store.settle(claim)).status === 'ok' ? 'restored' : 'again'
  }

  /**
   * Events that were acknowledged are gone for good. What is written in their place must not bear their ids, or a client
   * that has seen them would never know: the shard goes on under its next epoch.
   */
  async #forsake(claim: Claim): Promise<Attempt> {
    const { raise, onLost, logger } = this.#options
    logger.error({ shard: claim.shard, epoch: claim.epoch }, 'a Redis has lost events for good; a new epoch begins')
    await raise(claim)
    onLost(claim, { status: 'unassigned' })
    return 'lost'
  }
}

function* chunks<T extends { readonly body: string }>(all: readonly T[]): Generator<readonly T[]> {
  let some: T[] = []
  let chars = 0
  for (const it of all) {
    if (some.length === COMMANDS_PER_CALL || (some.length > 0 && chars + it.body.length > CHARS_PER_CALL)) {
      yield some
      some = []
      chars = 0
    }
    some.push(it)
    chars += it.body.length
  }
  if (some.length > 0) yield some
}
