/**
 * The worker role: owns shards and runs their sessions.
 *
 *   bell ─▶ command-reader ─▶ session-host ─▶ session ─▶ turn ─▶ runtime
 *    ▲                                     │
 *   shard-owner (claims)              event-batch ─▶ log ─▶ projector ─▶ Postgres
 */
import {
  type AcceptedCommand,
  type Bus,
  type Claim,
  type CommandBell,
  type Refused,
  type StoredEvent,
  type StoreFailover,
  StoreRefusal,
} from '../bus/bus.js'
import type { Outbox } from '../bus/command.js'
import type { Whereabouts } from '../bus/dormant.js'
import type { ControlChannel, ControlMessage, Member, ShardLoadReport } from '../cluster/cluster.js'
import type { EventId, NodeId } from '../protocol/ids.js'
import type { SessionType } from '../protocol/session.js'
import type { Runtime } from '../runtimes/runtime.js'
import type { WorkerMetrics } from '../telemetry/metrics.js'
import { ColdSessions } from './cold-sessions.js'
import { CommandReader } from './command-reader.js'
import { WriterLost } from './event-batch.js'
import { type DormantStorage, Hibernation } from './hibernation.js'
import { readHistory } from './history.js'
import { LoadMeter } from './load-meter.js'
import { PinHolder } from './pin-holder.js'
import { PinWatch } from './pin-watch.js'
import { type Project, Projector, type ProjectorOptions } from './projector.js'
import { SessionHost } from './session-host.js'
import { SessionLoader } from './session-loader.js'
import type { DeadLetter, Logger, OnceCall, SessionServices, Workspaces } from './session-services.js'
import { SessionTimeout } from './session-timeout.js'
import { type OwnedShard, ShardOwner } from './shard-owner.js'
import { type PinNote, ShardRelease } from './shard-release.js'
import { StoreRecovery } from './store-recovery.js'
import { Suspects } from './suspects.js'
import type { Takeover } from './turn.js'
import { TurnSlots } from './turn-slots.js'
import { tailedCommands, tailedLog, WriteTail } from './write-tail.js'

/** What a worker asks of Postgres. */
export interface WorkerStorage {
  assigned(): Promise<readonly OwnedShard[]>
  release(shards: readonly { readonly shard: number; readonly epoch: number }[]): Promise<unknown>
  /** Notes sessions that stay here while their shard goes. */
  notePins(pins: readonly PinNote[]): Promise<void>
  strikePins(shard: number, sessionIds: readonly string[]): Promise<void>
  ownerOf(shard: number): Promise<NodeId | undefined>
  leader(): Promise<NodeId | undefined>
  readonly project: Project
  /** The last event that is projected; undefined when none is. */
  lastEvent(sessionId: string): Promise<EventId | undefined>
  pageEvents(sessionId: string, after: EventId, upTo: EventId, limit: number): Promise<readonly StoredEvent[]>
  /** See `SessionServices.beginOnce`. */
  beginOnce(call: OnceCall, signal: AbortSignal): Promise<boolean>
  recordDeadLetter(letter: DeadLetter): Promise<string>
  /** What is known of a session that the bus does not hold. */
  whereabouts(sessionId: string): Promise<Whereabouts>
  readonly dormant: DormantStorage
  /** Reserved sessions of these shards that no edge submitted in time: their edge died between the two steps. */
  unsubmitted(shards: readonly number[], olderThanMs: number, limit: number): Promise<readonly Reservation[]>
  /** When a node ended and whether it left in an orderly way; undefined while it is not known to have ended. */
  ending(node: string): Promise<{ readonly planned: boolean; readonly at: Date } | undefined>
}

export interface Reservation {
  readonly sessionId: string
  readonly tenant: string
  /** JSON of the spawn command. */
  readonly spawn: string
}

export interface WorkerOptions {
  readonly bus: Bus
  readonly member: Member
  /** Undefined in one process, where nobody sends control messages. */
  readonly control: ControlChannel | undefined
  /** Whether there is another worker for this one's shards now, and somebody who would move them. */
  readonly hasSuccessor: () => boolean
  /** For the leader to move all shards away when this worker stops. */
  readonly migrationTimeoutMs: number
  /** For the turns that stay behind then. */
  readonly drainTimeoutMs: number
  /** Tells the leader how much the shards have to do; undefined in one process, where nothing moves. */
  readonly reportShards: ((report: ShardLoadReport) => Promise<void>) | undefined
  /** When a node last gave a sign of life, in ms since 1970; undefined when nobody remembers. */
  readonly lastBeatOf: (node: string) => Promise<number | undefined>
  readonly storage: WorkerStorage
  readonly workspaces: Workspaces
  readonly runtimeOf: (type: SessionType) => Runtime
  /** Turns that may run at once. */
  readonly maxSessions: number
  /** A session in which nothing happens for so long is completed. */
  readonly sessionTimeoutMs: number
  /** What the log may hold that Postgres does not; see the projector when left out. */
  readonly maxUnprojected?: ProjectorOptions['most']
  /** A session that nothing was heard of for so long leaves the bus (SESSION_HIBERNATE_AFTER). */
  readonly hibernateAfterMs: number
  readonly logger: Logger
  readonly metrics: WorkerMetrics
  readonly now: () => Date
}

const LOAD_MS = 1_000
/** The leader looks at the loads of shards once a second at most. */
const SHARD_LOAD_MS = 2_000
/** An edge has this long between reserving a session and submitting it. */
const UNSUBMITTED_MS = 10_000
const UNSUBMITTED_BATCH = 100
/** How long a session that says nothing may be sent to an edge that is gone: nothing is sent meanwhile. */
const GONE_EDGES_MS = 60_000
/** A session that failed here is loaded anew after a pause, so that a bug does not spin. */
const RELOAD_MS = 1_000
/** Nobody listens there: the edge that asked is gone. */
const NO_OUTBOX: Outbox = 'nobody@-0'

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
  readonly #loader: SessionLoader
  /** Undefined on a bus that loses nothing. */
  readonly #recovery: StoreRecovery | undefined
  readonly #timeout: SessionTimeout
  #stopReceiving: (() => Promise<void>) | undefined
  readonly #meter = new LoadMeter(() => performance.now())
  #loadTimer: NodeJS.Timeout | undefined
  #shardLoadTimer: NodeJS.Timeout | undefined
  #sweepTimer: NodeJS.Timeout | undefined
  #edgesTimer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#slots = new TurnSlots(options.maxSessions)
    const { bus, storage, logger, member, control } = options
    this.#projector = new Projector({
      ...{ log: bus.log, project: storage.project, logger },
      onFull: (full) => bus.commands.admitWork(!full),
      ...(options.maxUnprojected && { most: options.maxUnprojected }),
    })
    const tail = bus.failover && new WriteTail()
    this.#recovery = bus.failover && tail && this.#openRecovery(bus.failover, tail)
    this.#loader = new SessionLoader({ log: bus.log, storage, tail, recovery: this.#recovery, logger })
    this.#host = new SessionHost({
      services: this.#services(tail ? tailedLog(bus.log, tail) : bus.log),
      onLost: (claim, id, error) => this.#sessionLost(claim, id, error),
      onAwake: (claim, id) => this.#timeout.awake(claim, id),
      onIdle: (claim, id, idle) => {
        this.#projector.forget(claim, id)
        this.#timeout.idle(claim, id, idle)
      },
    })
    this.#timeout = new SessionTimeout({
      ...{ timers: bus.timers, host: this.#host, timeoutMs: options.sessionTimeoutMs, logger },
      owned: () => this.#owner.owned,
      isPinned: (id) => this.#pins.isPinned(id),
      wake: (claim, id) => this.#cold.wake(claim, id),
    })
    const send: ControlChannel['send'] = async (to, message) => control?.send(to, message)
    const { handover } = bus
    this.#pins = new PinWatch({
      handover,
      logger,
      send,
      ending: (node) => storage.ending(node),
      formerOwner: (node) => this.#formerOwner(node),
      strikePins: (shard, ids) => storage.strikePins(shard, ids),
      onFree: (claim, id, takeover) => this.#takeUpPinned(claim, id, takeover),
    })
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
      notePins: (pins) => storage.notePins(pins),
      release: (shards) => storage.release(shards),
      leader: () => storage.leader(),
    })
    const claimOf = (shard: number): Claim | undefined => this.#owner.claimOf(shard)
    const onRefused = (claim: Claim, refused: Refused): void => this.#owner.refused(claim, refused)
    const deliver = (claim: Claim, commands: readonly AcceptedCommand[]): void => {
      this.#meter.accepted(claim.shard, commands.length)
      this.#host.deliver(claim, this.#pins.withhold(commands))
    }
    const commands = tail ? tailedCommands(bus.commands, tail) : bus.commands
    this.#cold = new ColdSessions({
      commands,
      find: (id) => storage.whereabouts(id),
      ...{ claimOf, deliver, onRefused, logger },
    })
    this.#hibernation = new Hibernation({
      log: bus.log,
      storage: storage.dormant,
      idleMs: options.hibernateAfterMs,
      owned: () => this.#owner.owned,
      letGo: (id) => this.#host.letGo(id),
      onUnprojected: (claim, id) => this.#projector.adopt(claim, [id]),
      ...{ onRefused, logger },
    })
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
    )
    this.#owner = new ShardOwner({
      node: member.id,
      log: bus.log,
      bell: this.#bell,
      host: this.#host,
      projector: this.#projector,
      pins: this.#pins,
      logger,
      assigned: () => storage.assigned(),
      release: (shards) => storage.release(shards),
      giveBack: (claims, leader) => release.giveBack(claims, leader),
      onCold: (claim, { sessionId, waitedMs }) => void this.#cold.wake(claim, sessionId, waitedMs),
      formerOwner: (node) => this.#formerOwner(node),
      onInstalled: (claim, claimed, isNew) => {
        this.#reader.placed(claim.shard, claimed.cursor)
        if (isNew && claimed.storeChanged) this.#recovery?.doubt(claim.shard)
        if (claimed.pins.length > 0) this.#recovery?.share(claim.shard)
      },
      onStoreLost: (claim) => void this.#recovery?.restore(claim),
      onDropped: (shard) => this.#recovery?.forget(shard),
    })
  }

  async start(): Promise<void> {
    this.#options.metrics.watch({
      sessions: () => this.#host.busySessions(),
      queued: () => this.#host.load.queued,
      waitingTurns: () => this.#slots.waiting,
      load: () => this.#host.load.busy / this.#options.maxSessions,
    })
    this.#host.start()
    this.#projector.start()
    this.#timeout.start()
    this.#stopReceiving = await this.#options.control?.receive((message) => this.#obey(message))
    await this.#owner.start()
    this.#reportLoad()
    this.#loadTimer = setInterval(() => this.#reportLoad(), LOAD_MS)
    this.#shardLoadTimer = setInterval(() => this.#reportShards(), SHARD_LOAD_MS)
    this.#sweepTimer = setInterval(() => void this.#submitForgotten(), UNSUBMITTED_MS)
    this.#hibernation.start()
    this.#edgesTimer = setInterval(() => void this.#dropGoneEdges(), GONE_EDGES_MS)
  }

  /** An edge that died while a session had nothing to say is still subscribed to it. */
  async #dropGoneEdges(): Promise<void> {
    const held = [...this.#host.held()]
    // What a connection fails to do now is done in a minute.
    await Promise.allSettled(held.map(({ id, claim }) => this.#options.bus.log.dropGoneEdges(claim, id)))
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
    clearInterval(this.#shardLoadTimer)
    clearInterval(this.#sweepTimer)
    clearInterval(this.#edgesTimer)
    await this.#hibernation.stop()
    this.#options.member.setStatus('draining')
    const { hasSuccessor, migrationTimeoutMs, drainTimeoutMs, logger } = this.#options
    await this.#timeout.stop()
    await this.#owner.leave(migrationTimeoutMs, hasSuccessor)
    await this.#owner.drain().catch((error: unknown) => {
      logger.warn({ err: error }, 'shards could not be given back; they are taken over instead')
    })
    this.#recovery?.stop()
    await this.#bell.stop()
    await this.#reader.stop()
    await this.#cold.stop()
    await this.#holder.drain(hasSuccessor() ? drainTimeoutMs : 0)
    clearInterval(this.#loadTimer)
    await this.#stopReceiving?.()
    await this.#pins.stop()
    this.#host.stop()
    await this.#projector.stop()
  }

  #obey(message: ControlMessage): void {
    if (message.type === 'pinned') this.#holder.obey(message.sessions)
    else if (message.type === 'unpinned' || message.type === 'buried') this.#pins.look()
    else this.#owner.obey(message)
  }

  /** A session whose former owner has let go of it. What that one wrote last may not be in Postgres yet. */
  #takeUpPinned(claim: Claim, sessionId: string, takeover: Takeover): void {
    if (this.#owner.claimOf(claim.shard) !== claim) return
    this.#projector.adopt(claim, [sessionId])
    this.#host.recover(claim, [sessionId], takeover)
  }

  #services(log: SessionServices['log']): SessionServices {
    const { bus, storage, member, metrics, workspaces, logger, now, runtimeOf } = this.#options
    return {
      log,
      loadSession: (claim, id) => this.#loader.load(claim, id),
      restoreStore: async (claim) => (await this.#recovery?.restore(claim)) ?? false,
      slots: this.#slots,
      suspects: new Suspects(),
      workspaces,
      logger,
      now,
      runtimeOf,
      beforeEffect: () => {
        // Not a failure of the task: the session waits until this worker, or the next owner, may go on.
        if (!member.mayStartEffects()) throw new WriterLost('unreachable')
      },
      onWritten: (claim, id, written) => {
        metrics.commit('ok')
        this.#projector.add(claim, id, written)
      },
      readHistory: (id) => readHistory(bus.log, storage.pageEvents, id),
      beginOnce: (call, aborted) => storage.beginOnce(call, aborted),
      quarantine: (letter) => storage.recordDeadLetter(letter),
      openMeter: () => metrics.openMeter(),
      onTurnBegan: (waitedSeconds) => metrics.turnBegan(waitedSeconds),
      onTurnEnded: (outcome, seconds) => metrics.turnEnded(outcome, seconds),
      onTakeover: (seconds) => metrics.takeover(seconds),
    }
  }

  #openRecovery(store: StoreFailover, tail: WriteTail): StoreRecovery {
    const { bus, storage, logger } = this.#options
    return new StoreRecovery({
      store,
      log: bus.log,
      tail,
      owned: () => this.#owner.owned,
      assigned: () => storage.assigned(),
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

  #reportLoad(): void {
    const { load } = this.#host
    this.#options.member.setLoad({ ...load, capacity: this.#options.maxSessions })
  }

  #reportShards(): void {
    const report = this.#meter.report(new Set(this.#owner.owned.keys()), this.#host.work())
    // What is not heard now is said again in seconds.
    this.#options.reportShards?.(report).catch(() => undefined)
  }

  async #submitForgotten(): Promise<void> {
    try {
      const shards = [...this.#owner.owned.keys()]
      for (const it of await this.#options.storage.unsubmitted(shards, UNSUBMITTED_MS, UNSUBMITTED_BATCH)) {
        const { sessionId, tenant, spawn: body } = it
        const route = { sessionId, commandId: sessionId, tenant, outbox: NO_OUTBOX, fresh: false, body }
        await this.#options.bus.commands.submit({ ...route, type: 'spawn' })
      }
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'forgotten spawns could not be submitted; trying again')
    }
  }
}
