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
  type StoreFailover,
  StoreRefusal,
} from '../bus/bus.js'
import type { ControlChannel, ControlMessage } from '../cluster/cluster.js'
import type { BudgetAlert } from '../protocol/events.js'
import { ApprovalWatch } from './approval-watch.js'
import { tellBudget } from './budget-news.js'
import { ColdSessions } from './cold-sessions.js'
import { CommandReader } from './command-reader.js'
import { FlushInterval } from './flush-interval.js'
import { ForgottenSpawns } from './forgotten-spawns.js'
import { FormerClaims, type FormerClaimsOptions } from './former-claims.js'
import { FormerOwners } from './former-owners.js'
import { GoneEdges } from './gone-edges.js'
import { Hibernation } from './hibernation.js'
import { readHistory } from './history.js'
import { LoadReport } from './load-report.js'
import { Reach } from './lookback.js'
import { PinHolder } from './pin-holder.js'
import { PinWatch } from './pin-watch.js'
import { Projector } from './projector.js'
import { SessionHost } from './session-host.js'
import { SessionLoader } from './session-loader.js'
import type { SessionApprovals, SessionServices } from './session-services.js'
import { SessionTimeout } from './session-timeout.js'
import { ShardOwner } from './shard-owner.js'
import { ShardRelease } from './shard-release.js'
import { StoreRecovery } from './store-recovery.js'
import { Suspects } from './suspects.js'
import { TailReplay, type TailReplayOptions } from './tail-replay.js'
import type { Takeover } from './turn-host.js'
import { TurnSlots } from './turn-slots.js'
import type { WorkerOptions } from './worker-options.js'
import { tailedCommands, tailedHandover, tailedLog, WriteTail } from './write-tail.js'
import { WriterLost } from './writer-lost.js'

/** A session that failed here is loaded anew after a pause, so that a bug does not spin. */
const RELOAD_MS = 1_000
const MS_PER_SECOND = 1_000

export class Worker {
  readonly #options: WorkerOptions
  readonly #host: SessionHost
  readonly #projector: Projector
  readonly #bell: CommandBell
  readonly #reader: CommandReader
  readonly #cold: ColdSessions
  readonly #hibernation: Hibernation
  readonly #owner: ShardOwner
  readonly #pins: PinWatch
  readonly #holder: PinHolder
  readonly #slots: TurnSlots
  readonly #approvals: ApprovalWatch
  readonly #loader: SessionLoader
  /** Undefined on a bus that loses nothing. */
  #recovery: StoreRecovery | undefined
  #formerClaims: FormerClaims | undefined
  readonly #tail: WriteTail | undefined
  readonly #formerOwners: FormerOwners
  readonly #timeout: SessionTimeout
  #stopReceiving: (() => Promise<void>) | undefined
  readonly #loadReport: LoadReport
  readonly #forgotten: ForgottenSpawns
  readonly #goneEdges: GoneEdges
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
    const tail = bus.failover && new WriteTail()
    const send: ControlChannel['send'] = async (to, message) => control?.send(to, message)
    const handover = bus.handover && tail ? tailedHandover(bus.handover, tail) : bus.handover
    this.#tail = tail
    this.#formerOwners = new FormerOwners({
      ...{ node: member.id, send },
      putBack: async (shard, epoch) => (await this.#formerClaims?.putBack(shard, epoch)) ?? true,
      hasEnded: async (node) => (await storage.ending(node)) !== undefined,
    })
    if (bus.failover && tail) this.#openRecovery(bus.failover, tail)
    this.#loader = new SessionLoader({
      ...{ log: bus.log, storage, tail, recovery: this.#recovery, logger },
      restore: (claim, id) => this.#restoreStore(claim, id),
    })
    this.#host = new SessionHost({
      services: this.#services(tail ? tailedLog(bus.log, tail) : bus.log),
      onLost: (claim, id, error) => this.#sessionLost(claim, id, error),
      onAwake: (claim, id) => this.#timeout.awake(claim, id),
      onIdle: (claim, id, idle) => {
        this.#projector.forget(claim, id)
        this.#timeout.idle(claim, id, idle)
      },
    })
    this.#goneEdges = new GoneEdges(bus.log, this.#host)
    this.#loadReport = new LoadReport({
      ...{ member, host: this.#host, slots: this.#slots, reportShards: options.reportShards },
      owned: () => new Set(this.#owner.owned.keys()),
    })
    this.#forgotten = new ForgottenSpawns({
      ...{ commands: bus.commands, logger },
      owned: () => [...this.#owner.owned.keys()],
      unsubmitted: (...about) => storage.unsubmitted(...about),
    })
    this.#timeout = this.#openTimeout()
    this.#pins = this.#openPins(send, handover)
    this.#holder = new PinHolder({
      node: member.id,
      handover,
      host: this.#host,
      logger,
      send,
      ownerOf: storage.ownerOf,
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
    const commands = tail ? tailedCommands(bus.commands, tail) : bus.commands
    this.#cold = new ColdSessions({
      commands,
      find: (id) => storage.whereabouts(id),
      ...{ claimOf, deliver, onRefused, logger },
    })
    this.#hibernation = this.#openHibernation()
    this.#reader = new CommandReader({
      commands,
      deliver,
      isRestoring: (shard) => this.#recovery?.isRestoring(shard) ?? false,
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
    this.#forgotten.start()
    this.#hibernation.start()
    this.#goneEdges.start()
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
    return this.#hibernation.sweep()
  }

  /**
   * Moves all shards to other workers, waits for the turns that stay behind, and stops. Turns that take too long, or whose
   * sessions cannot be left, end as they are recorded and go on with the next owner.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#forgotten.stop()
    this.#goneEdges.stop()
    await this.#hibernation.stop()
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
    this.#recovery?.stop()
    await this.#stopReceiving?.()
    await this.#pins.stop()
    this.#host.stop()
    this.#approvals.stop()
    await this.#projector.stop()
  }

  #obey(message: ControlMessage): void {
    if (message.type === 'pinned') this.#holder.obey(message.sessions)
    else if (message.type === 'budget') this.tellBudget(message.tenant, message.alert)
    else if (message.type === 'replay') void this.#putBackFor(message)
    else if (message.type === 'replayed') this.#formerOwners.answered(message)
    else if (message.type === 'unpinned' || message.type === 'buried') this.#pins.look()
    else this.#owner.obey(message)
  }

  /** The owner of a shard that was ours asks for what its store lacks. */
  async #putBackFor({ shard, epoch, asker }: Extract<ControlMessage, { type: 'replay' }>): Promise<void> {
    const whole = (await this.#formerClaims?.putBack(shard, epoch)) ?? true
    const answer: ControlMessage = { type: 'replayed', shard, epoch, node: this.#options.member.id, whole }
    // Lost, it is asked for again.
    await this.#options.control?.send(asker, answer).catch(() => undefined)
  }

  /** See `SessionServices.restoreStore`. A turn that stayed here while its shard went looks after its session alone. */
  async #restoreStore(claim: Claim, sessionId: string): Promise<boolean> {
    if (this.#owner.claimOf(claim.shard)?.epoch === claim.epoch) return (await this.#recovery?.restore(claim)) ?? false
    return (await this.#formerClaims?.restore(claim, sessionId)) ?? false
  }

  /** A session whose former owner has let go of it. What that one wrote last may not be in Postgres yet. */
  #takeUpPinned(claim: Claim, sessionId: string, takeover: Takeover): void {
    if (this.#owner.claimOf(claim.shard) !== claim) return
    this.#tail?.pinned(claim, 'unpin', sessionId)
    this.#tail?.follows(claim, takeover.fromWorker)
    this.#projector.adopt(claim, [sessionId])
    this.#host.recover(claim, [sessionId], takeover)
  }

  #services(log: SessionServices['log']): SessionServices {
    const { bus, storage, member, metrics, workspaces, logger, now, gate, hooks, budgets, runtimeOf } = this.#options
    const { tracing } = this.#options
    return {
      log,
      tracing,
      flushInterval: this.#countedFlushes(),
      loadSession: (claim, id) => this.#loader.load(claim, id),
      restoreStore: (claim, id) => this.#restoreStore(claim, id),
      slots: this.#slots,
      suspects: new Suspects(),
      workspaces,
      logger,
      now,
      gate,
      hooks,
      approvals: this.#sessionApprovals(),
      audit: (entry) => this.#options.storage.audit(entry),
      onVerdict: (decision) => metrics.verdict(decision),
      onApproval: (outcome, waitedSeconds) => metrics.approval(outcome, waitedSeconds),
      budgets,
      runtimeOf,
      beforeEffect: () => {
        // Not a failure of the task: the session waits until this worker, or the next owner, may go on.
        if (!member.mayStartEffects()) throw new WriterLost('unreachable')
      },
      onWritten: (claim, id, written) => {
        metrics.commit('ok')
        this.#projector.add(claim, id, written)
      },
      readHistory: (id, lookback, signal) => {
        const { pageEventsBack } = storage
        const reach = new Reach(lookback, this.#options.maxContextTokens)
        return readHistory({ log: bus.log, pageEventsBack }, id, reach, signal)
      },
      beginOnce: (call, aborted) => storage.beginOnce(call, aborted),
      quarantine: (letter) => storage.recordDeadLetter(letter),
      openMeter: () => metrics.openMeter(),
      onTurnBegan: (waitedSeconds) => metrics.turnBegan(waitedSeconds),
      onTurnEnded: (outcome, seconds) => metrics.turnEnded(outcome, seconds),
      onTakeover: (seconds) => metrics.takeover(seconds),
    }
  }

  #countedFlushes(): SessionServices['flushInterval'] {
    const { metrics } = this.#options
    const interval = this.#flushInterval
    return {
      get ms() {
        return interval.ms
      },
      kept: (lateMs) => {
        interval.kept(lateMs)
        metrics.flushed(lateMs / MS_PER_SECOND)
      },
    }
  }

  #sessionApprovals(): SessionApprovals {
    const { storage, logger } = this.#options
    return {
      request: (asked, signal) => {
        const { approvalTimeoutMs: timeoutMs } = this.#options
        return storage.requestApproval({ ...asked, timeoutMs }, signal)
      },
      decided: (approval, signal) => this.#approvals.decided(approval, signal),
      look: (ids) => this.#approvals.look(ids),
      cancel: async (sessionId, commandId) => {
        await storage.cancelApprovals(sessionId, commandId).catch((error: unknown) => {
          logger.warn({ err: error, sessionId }, 'what a task asked for could not be withdrawn; it expires')
        })
      },
    }
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
      remembers: (claim) => this.#tail?.remembers(claim) ?? false,
      claimNew: async (claim, former) => (await this.#recovery?.claim(claim, former)) ?? bus.log.claim(claim),
      claimAgain: (claim) => (bus.failover ? bus.failover.claimSame(claim) : bus.log.claim(claim)),
      onInstalled: (claim, claimed, isNew) => {
        this.#reader.placed(claim.shard, claimed.cursor)
        if (isNew && claimed.storeChanged) this.#recovery?.doubt(claim.shard)
        if (claimed.pins.length > 0) this.#recovery?.share(claim.shard)
      },
      onStoreLost: (claim) => void this.#recovery?.restore(claim),
      onDropped: (shard) => this.#recovery?.forget(shard),
    })
  }

  #openHibernation(): Hibernation {
    const { bus, storage, hibernateAfterMs, logger } = this.#options
    return new Hibernation({
      log: bus.log,
      storage: storage.dormant,
      idleMs: hibernateAfterMs,
      owned: () => this.#owner.owned,
      letGo: (id) => this.#host.letGo(id),
      onUnprojected: (claim, id) => this.#projector.adopt(claim, [id]),
      onRefused: (claim, refused) => this.#owner.refused(claim, refused),
      logger,
    })
  }

  #openRecovery(store: StoreFailover, tail: WriteTail): void {
    const { bus, storage, logger } = this.#options
    const forward: TailReplayOptions['forward'] = (claim, id, upTo) => this.#loader.forward(claim, id, upTo)
    const replay = new TailReplay({ store, log: bus.log, handover: bus.handover, tail, forward })
    const ask: FormerClaimsOptions['ask'] = (claim, formers) => this.#formerOwners.ask(claim, formers)
    this.#formerClaims = new FormerClaims({ log: bus.log, tail, replay, ask, logger })
    this.#recovery = new StoreRecovery({
      ...{ store, log: bus.log, tail, replay, askFormers: ask },
      owned: () => this.#owner.owned,
      assigned: () => storage.assigned(),
      raise: async (claim) => {
        // What Postgres gets of the old epoch it must have before anybody works under the new one.
        await this.#projector.settle()
        await storage.raise(claim, claim.epoch + 1)
      },
      onRestored: ({ shard }) => this.#owner.reinstall(shard, true),
      onCleared: (shard) => this.#reader.read(shard),
      onLost: (claim, refused) => this.#owner.refused(claim, refused),
      logger,
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
      this.#recovery?.doubt(claim.shard)
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
