/**
 * The sessions that this worker holds in memory: loaded when a command comes, dropped when idle.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AcceptedCommand, Claim, SessionRecord } from '../bus/bus.js'
import type { Command, Submission } from '../bus/command.js'
import { LOG_START } from '../protocol/ids.js'
import type { SessionStatus } from '../protocol/session.js'
import type { BusySession } from '../telemetry/metrics.js'
import type { ShardWork } from './load-meter.js'
import { LiveSession } from './session.js'
import type { LoadedSession, SessionServices } from './session-services.js'
import { tellAccepted } from './session-trace.js'
import type { Takeover } from './turn-host.js'
import { WriterLost } from './writer-lost.js'

/** An idle session leaves the heap after this time; its log is then read back when it is needed. */
const IDLE_MS = 60_000
const SWEEP_MS = 5_000
/** A store that fails at once must not be asked in a circle. */
const RETRY_MS = 200
/** A turn that ends so soon gets no pin, which takes as long and a write in Postgres. Nobody reads its shard meanwhile. */
const TURN_GRACE_MS = 10

export interface SessionHostOptions {
  readonly services: SessionServices
  /** A session's writer was refused: the shard's ownership must be checked. */
  readonly onLost: (claim: Claim, sessionId: string, error: WriterLost) => void
  /** A session has come into the heap: something happens in it. */
  readonly onAwake: (claim: Claim, sessionId: string) => void
  /** An idle session has left the heap: its log is needed no more. */
  readonly onIdle: (claim: Claim, sessionId: string, idle: Idle) => void
}

export interface Idle {
  readonly forMs: number
  readonly status: SessionStatus
}

/** Who had a session before, once that is known; undefined when nobody had. */
type FormerOwner = Promise<Takeover | undefined> | Takeover | undefined

interface Held {
  readonly claim: Claim
  readonly session: Promise<LiveSession | undefined>
  live: LiveSession | undefined
  /** Commands wait in the store that it has not been given: what comes now belongs behind them. */
  catchingUp?: Promise<void> | undefined
}

export class SessionHost {
  readonly #held = new Map<string, Held>()
  /** Sessions in the last turn that they have here. */
  readonly #retired = new Set<LiveSession>()
  #sweep: NodeJS.Timeout | undefined

  constructor(private readonly options: SessionHostOptions) {}

  start(): void {
    this.#sweep = setInterval(() => this.#dropIdle(performance.now()), SWEEP_MS)
  }

  stop(): void {
    clearInterval(this.#sweep)
  }

  /** Sessions with work, and the commands that wait in them. */
  get load(): { readonly busy: number; readonly queued: number } {
    let busy = 0
    let queued = 0
    for (const live of this.#live()) {
      if (live.busy) busy += 1
      queued += live.waiting
    }
    return { busy, queued }
  }

  /** What the sessions of each shard do now. */
  *work(): Iterable<ShardWork> {
    for (const { claim, live } of this.#held.values()) {
      if (live?.busy) yield { shard: claim.shard, running: live.inTurn, queued: live.waiting }
    }
  }

  /** Sessions with work that have been announced. */
  *busySessions(): Iterable<BusySession> {
    for (const live of this.#live()) {
      const session = live.busy ? live.writer.session : undefined
      if (session) yield { orchestratorId: session.orchestratorId, type: session.type, isRunning: live.inTurn }
    }
  }

  /** Sessions in memory. */
  live(): Iterable<LiveSession> {
    return this.#live()
  }

  *#live(): Iterable<LiveSession> {
    for (const { live } of this.#held.values()) if (live) yield live
    yield* this.#retired
  }

  /** Hands accepted commands, asked for at `askedAt`, to their sessions, in order. */
  deliver(claim: Claim, commands: readonly AcceptedCommand[], askedAt = performance.now()): void {
    const { tracing } = this.options.services
    for (const { submission, acceptance } of commands) {
      // `dup` without a result still waits: it is delivered too, in case the reply to its acceptance was lost.
      const waits = acceptance.status === 'new' || (acceptance.status === 'dup' && acceptance.detail === '')
      if (!waits) continue
      const held = this.#held.get(submission.sessionId) ?? this.#open(claim, submission, acceptance.status === 'new')
      const command = JSON.parse(submission.body) as Command
      if (tracing) tellAccepted(tracing, submission, command, askedAt)
      if (held.catchingUp) void held.catchingUp.then(() => held.live?.deliver(command))
      else if (held.live) held.live.deliver(command)
      // One that could not be loaded is loaded anew, with the commands that wait for it in the store.
      else void held.session.then((session) => session?.deliver(command)).catch(() => undefined)
    }
  }

  /** Goes on with unfinished commands: of a former owner, or of ours after the store was out of reach. */
  recover(claim: Claim, sessionIds: readonly string[], takeover: FormerOwner): void {
    for (const id of sessionIds) {
      const held = this.#held.get(id)
      if (held?.live) this.#recoverLive(id, held, held.live)
      else if (!held) this.#hold(id, claim, this.#load(id, claim, takeover))
    }
  }

  /** Sessions in the heap, with the claim that they are written under. */
  *held(): Iterable<{ readonly id: string; readonly claim: Claim }> {
    for (const [id, { claim }] of this.#held) yield { id, claim }
  }

  /** Lets a session leave the heap if it is idle. False when it has work, or is being loaded. */
  letGo(id: string): boolean {
    const held = this.#held.get(id)
    if (!held) return true
    if (!held.live || held.live.busy) return false
    this.#release(id, held, held.live)
    return true
  }

  /** Lets go of the sessions of these shards, as they are recorded. Resolves when none writes any more. */
  async drop(shards: ReadonlySet<number>, reason: 'closed' | 'draining'): Promise<void> {
    const dropped = [...this.#held].filter(([, held]) => shards.has(held.claim.shard))
    for (const [id] of dropped) this.#held.delete(id)
    await Promise.all(
      dropped.map(async ([, held]) => {
        const live = await held.session.catch(() => undefined)
        await live?.close(reason)
        live?.forget()
      }),
    )
  }

  /**
   * Lets go of the sessions of these shards, but for those whose turn does not end at once: they are returned, to be pinned
   * or cut. Resolves when none of the others writes any more.
   */
  async retire(shards: ReadonlySet<number>, graceMs = TURN_GRACE_MS): Promise<readonly LiveSession[]> {
    const leaving = [...this.#held].filter(([, held]) => shards.has(held.claim.shard))
    for (const [id] of leaving) this.#held.delete(id)
    const retired = await Promise.all(leaving.map(([, held]) => this.#retireOne(held, graceMs)))
    return retired.flat()
  }

  async #retireOne(held: Held, graceMs: number): Promise<readonly LiveSession[]> {
    const session = held.live ?? (await held.session.catch(() => undefined))
    if (!session) return []
    if (!session.inTurn) {
      await session.close('closed')
      session.forget()
      return []
    }
    const ended = session.finishTurn().then(() => true)
    if (await Promise.race([ended, sleep(graceMs, false)])) return []
    this.#retired.add(session)
    return [session]
  }

  /** Ends a retired session after its last recorded step; whoever owns its shard goes on. */
  async cut(session: LiveSession): Promise<void> {
    await session.close('draining')
    this.forgetRetired(session)
  }

  forgetRetired(session: LiveSession): void {
    this.#retired.delete(session)
  }

  /**
   * Hands a session what waits for it in the store: commands whose delivery was lost, or that another accepted. False when
   * the store could not be read.
   */
  async catchUp(live: LiveSession): Promise<boolean> {
    try {
      const record = await this.options.services.loadSession(live.claim, live.id)
      if (record) live.deliverAll(record)
      return true
    } catch {
      return false // The store is away again, which its connection has logged.
    }
  }

  /** For how long nothing was to be done in a session; undefined when it is not in the heap. */
  idleFor(sessionId: string): number | undefined {
    const held = this.#held.get(sessionId)
    if (!held) return undefined
    return held.live && !held.live.busy ? performance.now() - held.live.idleSince : 0
  }

  /** Completes a session; see LiveSession.complete. Undefined when the store does not hold it. */
  async complete(claim: Claim, sessionId: string): Promise<boolean | undefined> {
    const held = this.#held.get(sessionId) ?? this.#hold(sessionId, claim, this.#load(sessionId, claim, undefined))
    return await (await held.session)?.complete()
  }

  /** Ends its commands in the order of the store, which pops them from the head of the inbox. */
  #recoverLive(id: string, held: Held, live: LiveSession): void {
    const caughtUp = (held.catchingUp ?? Promise.resolve()).then(() => this.#untilCaughtUp(id, held, live))
    held.catchingUp = caughtUp
    void caughtUp.then(() => {
      if (held.catchingUp === caughtUp) held.catchingUp = undefined
    })
  }

  async #untilCaughtUp(id: string, held: Held, live: LiveSession): Promise<void> {
    while (this.#held.get(id) === held && !(await this.catchUp(live))) await sleep(RETRY_MS)
  }

  #open(claim: Claim, submission: Submission, isNew: boolean): Held {
    const { sessionId } = submission
    if (submission.type !== 'spawn' || !isNew)
      return this.#hold(sessionId, claim, this.#load(sessionId, claim, undefined))
    const record: SessionRecord = {
      sessionId,
      tenant: submission.tenant,
      status: 'initializing',
      head: LOG_START,
      floor: LOG_START,
      state: '',
      part: undefined,
      inbox: [],
      control: [],
      lastCommit: '',
    }
    const live = this.#create(record, claim, undefined, true)
    return this.#hold(sessionId, claim, Promise.resolve(live), live)
  }

  #hold(id: string, claim: Claim, session: Promise<LiveSession | undefined>, live?: LiveSession): Held {
    const held: Held = { claim, session, live }
    this.#held.set(id, held)
    if (!live) {
      session.then(
        (loaded) => {
          held.live = loaded
          if (loaded === undefined) this.#forget(id, held)
        },
        (error: unknown) => this.#loadFailed(id, held, error),
      )
    }
    return held
  }

  async #load(id: string, claim: Claim, takeover: FormerOwner): Promise<LiveSession | undefined> {
    const [record, former] = await Promise.all([this.options.services.loadSession(claim, id), takeover])
    return record && this.#create(record, claim, former, false)
  }

  #create(record: LoadedSession, claim: Claim, takeover: Takeover | undefined, fresh: boolean): LiveSession {
    const { services, onLost } = this.options
    const { sessionId } = record
    const session = new LiveSession({
      record,
      claim,
      services,
      takeover,
      fresh,
      onLost: (error) => {
        const held = this.#held.get(sessionId)
        if (held?.live === session) this.#held.delete(sessionId)
        onLost(claim, sessionId, error)
      },
    })
    this.options.onAwake(claim, sessionId)
    return session
  }

  #forget(id: string, held: Held): void {
    if (this.#held.get(id) === held) this.#held.delete(id)
  }

  /** The store could not be read: its commands stay in the inbox and are found when the shard is claimed again. */
  #loadFailed(id: string, held: Held, error: unknown): void {
    this.#forget(id, held)
    this.options.services.logger.warn({ err: error, sessionId: id }, 'a session could not be loaded')
    this.options.onLost(held.claim, id, new WriterLost('unreachable'))
  }

  #dropIdle(now: number): void {
    for (const [id, held] of this.#held) {
      if (!held.live || held.live.busy || now - held.live.idleSince < IDLE_MS) continue
      this.#release(id, held, held.live)
    }
  }

  #release(id: string, { claim }: Held, live: LiveSession): void {
    this.#held.delete(id)
    void live.close('closed')
    this.options.onIdle(claim, id, { forMs: performance.now() - live.idleSince, status: live.writer.status })
  }
}
