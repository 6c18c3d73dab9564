/**
 * The worker role: owns shards and runs their sessions.
 *
 *   bell ─▶ command-reader ─▶ session-host ─▶ session ─▶ turn ─▶ runtime
 *    ▲                                     │
 *   shard-owner (claims)              event-batch ─▶ log ─▶ projector ─▶ Postgres
 */
import {
  type AcceptedCommand,
  type Claim,
  type CommandBell,
  type Handover,
  type Refused,
  StoreRefusal,
} from '../bus/bus.js'
import type { ControlChannel, ControlMessage } from '../cluster/cluster.js'
import type { BudgetAlert } from '../protocol/events.js'
import { ApprovalWatch } from './approval-watch.js'
import { tellBudget } from './budget-news.js'
import { ColdSessions } from './cold-sessions.js'
import { CommandReader } from './command-reader.js'
import { FlushInterval } from './flush-interval.js'
import { LoadReport } from './load-report.js'
import { PinHolder } from './pin-holder.js'
import { PinWatch } from './pin-watch.js'
import { Projector } from './projector.js'
import { servicesOf } from './session-fitting.js'
import { SessionHost } from './session-host.js'
import { SessionTimeout } from './session-timeout.js'
import { ShardOwner } from './shard-owner.js'
import { ShardRelease } from './shard-release.js'
import { StoreGuard } from './store-guard.js'
import type { Takeover } from './turn-host.js'
import { TurnSlots } from './turn-slots.js'
import { Upkeep } from './upkeep.js'
import type { WorkerOptions } from './worker-options.js'
import type { WriterLost } from './writer-lost.js'

/** A session that failed here is loaded anew after a pause, so that a bug does not spin. */
const RELOAD_MS = 1_000

export class Worker {
  readonly #options: WorkerOptions
  readonly #host: SessionHost
  readonly #projector: Projector
  readonly #bell: CommandBell
  readonly #reader: CommandReader
  readonly #cold: ColdSessions
  readonly #owner: ShardOwner
  readonly #pins: PinWatch
  readonly #holder: PinHolder
  readonly #slots: TurnSlots
  readonly #approvals: ApprovalWatch
  readonly #guard: StoreGuard
  readonly #timeout: SessionTimeout
  #stopReceiving: (() => Promise<void>) | undefined
  readonly #loadReport: LoadReport
  readonly #upkeep: Upkeep
  readonly #flushInterval = new FlushInterval()
  #stopped = false

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#slots = new TurnSlots(options.maxSessions, options.maxConcurrentTasks)
    const { bus, storage, logger, member, control } = options
    this.#approvals = new ApprovalWatch({ settled: (ids) => storage.settledApprovals(ids), logger })
    this.#projector = new Projector({
      ...{ log: bus.log, project: storage.project, logger },
      onFull: (full) => bus.commands.admitWork(!full),
      ...(options.maxUnprojected && { most: options.maxUnprojected }),
    })
    const send: ControlChannel['send'] = async (to, message) => control?.send(to, message)
    this.#guard = this.#openGuard(send)
    this.#host = this.#openHost()
    this.#loadReport = new LoadReport({
      ...{ member, host: this.#host, slots: this.#slots, reportShards: options.reportShards },
      owned: () => new Set(this.#owner.owned.keys()),
    })
    this.#timeout = this.#openTimeout()
    const { handover, commands } = this.#guard
    this.#pins = this.#openPins(send, handover)
    this.#holder = new PinHolder({
      ...{ node: member.id, handover, host: this.#host, logger, send, ownerOf: storage.ownerOf },
    })
    const release = new ShardRelease({
      ...{ log: bus.log, handover, logger, send, host: this.#host, projector: this.#projector, holder: this.#holder },
      release: (shards) => storage.release(shards),
      leader: () => storage.leader(),
    })
    const claimOf = (shard: number): Claim | undefined => this.#owner.claimOf(shard)
    const onRefused = (claim: Claim, refused: Refused): void => this.#owner.refused(claim, refused)
    const deliver = (claim: Claim, commands: readonly AcceptedCommand[]): void => {
      this.#loadReport.accepted(claim.shard, commands.length)
      this.#host.deliver(claim, this.#pins.withhold(commands))
    }
    this.#cold = new ColdSessions({
      commands,
      find: (id) => storage.whereabouts(id),
      ...{ claimOf, deliver, onRefused, logger },
    })
    this.#upkeep = new Upkeep({
      ...{ options, host: this.#host, projector: this.#projector, owned: () => this.#owner.owned, onRefused },
    })
    this.#reader = new CommandReader({
      commands,
      deliver,
      isRestoring: (shard) => this.#guard.isRestoring(shard),
      onSkipped: (shard) => this.#owner.reinstall(shard),
      onFailed: (shard, error) => this.#acceptFailed(shard, error),
      onCold: (claim, id) => void this.#cold.wake(claim, id),
      ...{ claimOf, onRefused },
    })
    this.#bell = bus.commands.openBell(
      member.id,
      (shard) => this.#reader.read(shard),
      () => this.#owner.reinstallAll(),
      (shard) => this.#reader.placeOf(shard),
    )
    this.#owner = this.#openOwner(release)
  }

  async start(): Promise<void> {
    this.#options.metrics.watch({
      sessions: () => this.#host.busySessions(),
      queued: () => this.#host.load.queued,
      waitingTurns: () => this.#slots.waiting,
      load: () => this.#host.load.busy / this.#slots.capacity,
      shards: () => this.#owner.owned.size,
      unprojected: () => this.#projector.waiting,
      flushIntervalMs: () => this.#flushInterval.ms,
    })
    this.#options.metrics.watchApprovals(() => this.#approvals.waiting)
    this.#approvals.start()
    this.#host.start()
    this.#projector.start()
    this.#timeout.start()
    this.#stopReceiving = await this.#options.control?.receive((message) => this.#obey(message))
    await this.#owner.start()
    this.#loadReport.start()
    this.#upkeep.start()
  }

  /** From now on so many turns may run here at once; those that run are not cut. */
  limitTurns({ maxSessions, maxConcurrentTasks }: Pick<WorkerOptions, 'maxSessions' | 'maxConcurrentTasks'>): void {
    this.#slots.resize(maxSessions, maxConcurrentTasks)
  }

  /** Tells the sessions here that a budget has come to a threshold. */
  tellBudget(tenant: string, alert: BudgetAlert): void {
    tellBudget(this.#host.live(), tenant, alert)
  }

  /** Lets sessions at rest leave the bus now, as it happens from time to time anyway. Never rejects. */
  hibernateIdle(): Promise<void> {
    return this.#upkeep.hibernateIdle()
  }

  /**
   * Moves all shards to other workers, waits for the turns that stay behind, and stops. Turns that take too long, or whose
   * sessions cannot be left, end as they are recorded and go on with the next owner.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.#upkeep.stop()
    this.#options.member.setStatus('draining')
    const { hasSuccessor, migrationTimeoutMs, drainTimeoutMs, logger } = this.#options
    await this.#timeout.stop()
    await this.#owner.leave(migrationTimeoutMs, hasSuccessor)
    await this.#owner.drain().catch((error: unknown) => {
      logger.warn({ err: error }, 'shards could not be given back; they are taken over instead')
    })
    await this.#bell.stop()
    await this.#reader.stop()
    await this.#cold.stop()
    await this.#holder.drain(hasSuccessor() ? drainTimeoutMs : 0)
    this.#loadReport.stop()
    this.#guard.stop()
    await this.#stopReceiving?.()
    await this.#pins.stop()
    this.#host.stop()
    this.#approvals.stop()
    await this.#projector.stop()
  }

  #obey(message: ControlMessage): void {
    if (message.type === 'pinned') this.#holder.obey(message.sessions)
    else if (message.type === 'budget') this.tellBudget(message.tenant, message.alert)
    else if (message.type === 'replay') void this.#guard.answer(message)
    else if (message.type === 'replayed') this.#guard.answered(message)
    else if (message.type === 'unpinned' || message.type === 'buried') this.#pins.look()
    else this.#owner.obey(message)
  }

  /** A session whose former owner has let go of it. What that one wrote last may not be in Postgres yet. */
  #takeUpPinned(claim: Claim, sessionId: string, takeover: Takeover): void {
    if (this.#owner.claimOf(claim.shard) !== claim) return
    this.#guard.unpinned(claim, sessionId, takeover.fromWorker)
    this.#projector.adopt(claim, [sessionId])
    this.#host.recover(claim, [sessionId], takeover)
  }

  #openGuard(send: ControlChannel['send']): StoreGuard {
    const { bus, storage, member, logger } = this.#options
    return new StoreGuard({
      ...{ bus, storage, node: member.id, send, logger },
      owned: () => this.#owner.owned,
      settle: () => this.#projector.settle(),
      onRestored: ({ shard }) => this.#owner.reinstall(shard, true),
      onCleared: (shard) => this.#reader.read(shard),
      onLost: (claim, refused) => this.#owner.refused(claim, refused),
    })
  }

  #openHost(): SessionHost {
    return new SessionHost({
      services: servicesOf({
        ...{ options: this.#options, guard: this.#guard, slots: this.#slots, projector: this.#projector },
        ...{ approvals: this.#approvals, flushInterval: this.#flushInterval },
      }),
      onLost: (claim, id, error) => this.#sessionLost(claim, id, error),
      onAwake: (claim, id) => this.#timeout.awake(claim, id),
      onIdle: (claim, id, idle) => {
        this.#projector.forget(claim, id)
        this.#timeout.idle(claim, id, idle)
      },
    })
  }

  #openTimeout(): SessionTimeout {
    const { bus, sessionTimeoutMs: timeoutMs, logger } = this.#options
    return new SessionTimeout({
      ...{ timers: bus.timers, host: this.#host, timeoutMs, logger },
      owned: () => this.#owner.owned,
      isPinned: (id) => this.#pins.isPinned(id),
      wake: (claim, id) => this.#cold.wake(claim, id),
    })
  }

  #openPins(send: ControlChannel['send'], handover: Handover | undefined): PinWatch {
    const { storage, logger } = this.#options
    return new PinWatch({
      handover,
      logger,
      send,
      ending: (node) => storage.ending(node),
      formerOwner: (node) => this.#formerOwner(node),
      onFree: (claim, id, takeover) => this.#takeUpPinned(claim, id, takeover),
    })
  }

  #openOwner(release: ShardRelease): ShardOwner {
    const { bus, member, storage, logger } = this.#options
    return new ShardOwner({
      node: member.id,
      log: bus.log,
      bell: this.#bell,
      host: this.#host,
      projector: this.#projector,
      pins: this.#pins,
      logger,
      assigned: () => storage.assigned(),
      release: (shards) => storage.release(shards),
      raise: (shard, toEpoch) => storage.raise(shard, toEpoch),
      giveBack: (claims, leader) => release.giveBack(claims, leader),
      onCold: (claim, { sessionId, waitedMs }) => void this.#cold.wake(claim, sessionId, waitedMs),
      formerOwner: (node) => this.#formerOwner(node),
      remembers: (claim) => this.#guard.remembers(claim),
      claimNew: (claim, former) => this.#guard.claimNew(claim, former),
      claimAgain: (claim) => this.#guard.claimAgain(claim),
      onInstalled: (claim, claimed, isNew) => {
        this.#reader.placed(claim.shard, claimed.cursor)
        this.#guard.installed(claim, claimed, isNew)
      },
      onStoreLost: (claim) => void this.#guard.restore(claim),
      onDropped: (shard) => this.#guard.forget(shard),
    })
  }

  /** A connection that failed has been logged by its own; what the store refuses somebody must look at. */
  async #acceptFailed(shard: number, err: unknown): Promise<void> {
    if (err instanceof StoreRefusal)
      this.#options.logger.error({ err, shard }, 'the commands of a shard cannot be accepted')
    await this.#owner.reinstall(shard)
  }

  #sessionLost(claim: Claim, sessionId: string, error: WriterLost): void {
    if (error.reason === 'fenced' || error.reason === 'rollback') {
      this.#owner.refused(claim, { status: error.reason })
      return
    }
    // It has been restored as far as we remember, and still lacks something: Postgres may have it.
    if (error.reason === 'head' || error.reason === 'gap' || error.reason === 'corrupt') {
      this.#guard.doubt(claim.shard)
    }
    this.#options.logger.warn({ sessionId, reason: error.reason }, 'a session is loaded anew')
    const takeover = { fromWorker: claim.owner, afterMs: RELOAD_MS, planned: false }
    setTimeout(() => {
      if (this.#owner.claimOf(claim.shard) === claim) this.#host.recover(claim, [sessionId], takeover)
    }, RELOAD_MS)
  }

  async #formerOwner(node: string): Promise<Takeover> {
    const now = this.#options.now().getTime()
    const ending = await this.#options.storage.ending(node)
    const lastSeen = (await this.#options.lastBeatOf(node)) ?? ending?.at.getTime() ?? now
    return { fromWorker: node, afterMs: Math.max(0, now - lastSeen), planned: ending?.planned ?? false }
  }
}
