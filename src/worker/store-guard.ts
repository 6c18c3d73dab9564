/**
 * What a worker does about a store that may lose what it has acknowledged: remembers its own writes, notices the loss, and
 * has everything put back. On a bus that loses nothing it passes everything through.
 *
 *   log, commands, handover ─▶ tail      loss ─▶ recovery ─▶ former owners, tail replay ─▶ restored
 */
import type { Bus, Claim, Claimed, Fenced, Handover, StoreFailover } from '../bus/bus.js'
import type { ControlMessage } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { WriterLog } from './event-batch.js'
import { FormerClaims, type FormerClaimsOptions } from './former-claims.js'
import { FormerOwners, type FormerOwnersOptions, type Replayed } from './former-owners.js'
import { SessionLoader } from './session-loader.js'
import type { Logger } from './session-services.js'
import { StoreRecovery, type StoreRecoveryOptions } from './store-recovery.js'
import { TailReplay } from './tail-replay.js'
import type { WorkerStorage } from './worker-storage.js'
import { type TailedCommands, tailedCommands, tailedHandover, tailedLog, WriteTail } from './write-tail.js'

export interface StoreGuardOptions
  extends Pick<StoreRecoveryOptions, 'owned' | 'onRestored' | 'onCleared' | 'onLost'>,
    Pick<FormerOwnersOptions, 'node' | 'send'> {
  readonly bus: Bus
  readonly storage: WorkerStorage
  /** Resolves when Postgres has what it will get of what was written so far. */
  readonly settle: () => Promise<void>
  readonly logger: Logger
}

export class StoreGuard {
  /** Those of the bus, remembered. */
  readonly log: WriterLog
  readonly commands: TailedCommands
  readonly handover: Handover | undefined
  readonly loader: SessionLoader
  readonly #options: StoreGuardOptions
  readonly #formerOwners: FormerOwners
  /** Undefined on a bus that loses nothing, as are the next two. */
  readonly #tail: WriteTail | undefined
  #recovery: StoreRecovery | undefined
  #formerClaims: FormerClaims | undefined

  constructor(options: StoreGuardOptions) {
    const { bus, storage, node, send, logger } = options
    const tail = bus.failover && new WriteTail()
    this.#options = options
    this.#tail = tail
    this.log = tail ? tailedLog(bus.log, tail) : bus.log
    this.commands = tail ? tailedCommands(bus.commands, tail) : bus.commands
    this.handover = bus.handover && tail ? tailedHandover(bus.handover, tail) : bus.handover
    this.#formerOwners = new FormerOwners({
      ...{ node, send },
      putBack: (shard, epoch) => this.#putBack(shard, epoch),
      hasEnded: async (former) => (await storage.ending(former)) !== undefined,
    })
    if (bus.failover && tail) this.#openRecovery(bus.failover, tail)
    this.loader = new SessionLoader({
      ...{ log: bus.log, storage, tail, recovery: this.#recovery, logger },
      restore: (claim, id) => this.restoreFor(claim, id),
    })
  }

  stop(): void {
    this.#recovery?.stop()
  }

  /** Nobody accepts commands of a shard meanwhile. */
  isRestoring(shard: number): boolean {
    return this.#recovery?.isRestoring(shard) ?? false
  }

  /** Whether this worker remembers writes of its own under this claim. */
  remembers(claim: Claim): boolean {
    return this.#tail?.remembers(claim) ?? false
  }

  /** See `ShardOwnerOptions.claimNew`. */
  async claimNew(claim: Claim, former: NodeId | undefined): Promise<Claimed | Fenced> {
    return (await this.#recovery?.claim(claim, former)) ?? this.#options.bus.log.claim(claim)
  }

  /** See `ShardOwnerOptions.claimAgain`. */
  claimAgain(claim: Claim): Promise<Claimed | Fenced | undefined> {
    const { failover, log } = this.#options.bus
    return failover ? failover.claimSame(claim) : log.claim(claim)
  }

  installed(claim: Claim, claimed: Claimed, isNew: boolean): void {
    if (isNew && claimed.storeChanged) this.doubt(claim.shard)
    if (claimed.pins.length > 0) this.#recovery?.share(claim.shard)
  }

  /** The store may lack something of this shard that Postgres has. */
  doubt(shard: number): void {
    this.#recovery?.doubt(shard)
  }

  /** The shard is not ours any more. */
  forget(shard: number): void {
    this.#recovery?.forget(shard)
  }

  /** The store has lost writes of a shard of ours. */
  async restore(claim: Claim): Promise<boolean> {
    return (await this.#recovery?.restore(claim)) ?? false
  }

  /** See `SessionServices.restoreStore`. A turn that stayed here while its shard went looks after its session alone. */
  async restoreFor(claim: Claim, sessionId: string): Promise<boolean> {
    if (this.#options.owned().get(claim.shard)?.epoch === claim.epoch) return this.restore(claim)
    return (await this.#formerClaims?.restore(claim, sessionId)) ?? false
  }

  /** A session whose former owner has let go of it: that one's writes came before ours. */
  unpinned(claim: Claim, sessionId: string, former: NodeId): void {
    this.#tail?.pinned(claim, 'unpin', sessionId)
    this.#tail?.follows(claim, former)
  }

  /** The owner of a shard that was ours asks for what its store lacks. */
  async answer({ shard, epoch, asker }: Extract<ControlMessage, { type: 'replay' }>): Promise<void> {
    const { node, send } = this.#options
    const whole = await this.#putBack(shard, epoch)
    // Lost, it is asked for again.
    await send(asker, { type: 'replayed', shard, epoch, node, whole }).catch(() => undefined)
  }

  /** A former owner has put back what it could. */
  answered(replayed: Replayed): void {
    this.#formerOwners.answered(replayed)
  }

  async #putBack(shard: number, epoch: number): Promise<boolean> {
    return (await this.#formerClaims?.putBack(shard, epoch)) ?? true
  }

  #openRecovery(store: StoreFailover, tail: WriteTail): void {
    const { bus, storage, settle, owned, onRestored, onCleared, onLost, logger } = this.#options
    const replay = new TailReplay({
      ...{ store, log: bus.log, handover: bus.handover, tail },
      forward: (claim, id, upTo) => this.loader.forward(claim, id, upTo),
    })
    const ask: FormerClaimsOptions['ask'] = (claim, formers) => this.#formerOwners.ask(claim, formers)
    this.#formerClaims = new FormerClaims({ log: bus.log, tail, replay, ask, logger })
    this.#recovery = new StoreRecovery({
      ...{ store, log: bus.log, tail, replay, askFormers: ask, owned, onRestored, onCleared, onLost, logger },
      assigned: () => storage.assigned(),
      raise: async (claim) => {
        // What Postgres gets of the old epoch it must have before anybody works under the new one.
        await settle()
        await storage.raise(claim, claim.epoch + 1)
      },
    })
  }
}
