/**
 * Who watches which session, and what each of them gets of the entries that pass by. An entry that continues what a
 * client has goes out at once; anything else makes that client's subscription read the log, while later entries wait.
 */
import type { SessionLog } from '../bus/bus.js'
import type { Outbox } from '../bus/command.js'
import { errorReply } from '../protocol/codec.js'
import type { RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { SessionId } from '../protocol/ids.js'
import { isTerminal } from '../protocol/session.js'
import { SeldomLog } from '../telemetry/seldom-log.js'
import type { EdgeLog } from './dependencies.js'
import { LiveBuffer, type LiveEntry } from './live-buffer.js'
import { Replay, type ReplayOutcome, type ReplaySources } from './replay.js'
import { Slots } from './slots.js'
import { type Place, type Receiver, START, Subscription } from './subscription.js'

/** Resumes at once: after a lost connection every subscription resumes, and the store must not drown in it. */
const RESUMES_AT_ONCE = 64
/** Sessions that one connection may watch: more than an orchestrator runs, few enough to bound its memory. */
const MAX_PER_RECEIVER = 10_000
/** Pause before a resume is tried again: the store is away, or does not hold the session yet. */
const RETRY_MS = 2_000
/**
 * How long a client may be ahead of the store before it is reset: what a failover has lost is put back within it, where the
 * session's worker lives. Where it does not, another one takes over after 3 s at the earliest.
 */
const AHEAD_PATIENCE_MS = 2_000
const AHEAD_RETRY_MS = 100
/** How often a session that the store does not hold is looked for: as long as a command waits for its acceptance. */
const MAX_ABSENT_TRIES = 15
/** How often its owner is asked to bring it back. */
const MAX_WAKES = 3

export interface SubscriptionDependencies extends ReplaySources {
  readonly log: Pick<SessionLog, 'resume' | 'unsubscribe'>
  /** Asks the owner of a session that the store does not hold to bring it back; `awoke` tells when it has looked. */
  readonly wake: (sessionId: SessionId, outbox: Outbox) => Promise<unknown>
  readonly trace: EdgeLog
}

type Watchers = Map<Receiver, Subscription>

export class Subscriptions {
  readonly #deps: SubscriptionDependencies
  readonly #sessions = new Map<SessionId, Watchers>()
  readonly #byReceiver = new Map<Receiver, Map<SessionId, Subscription>>()
  readonly #buffers = new Map<Subscription, LiveBuffer>()
  readonly #absentTries = new WeakMap<Subscription, number>()
  /** Since when a client has been ahead of the store. */
  readonly #aheadSince = new WeakMap<Subscription, number>()
  readonly #leaving = new Set<SessionId>()
  readonly #slots = new Slots(RESUMES_AT_ONCE)
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #trouble: SeldomLog
  #outbox: Outbox | undefined

  constructor(deps: SubscriptionDependencies) {
    this.#deps = deps
    this.#trouble = new SeldomLog(deps.trace)
  }

  start(outbox: Outbox): void {
    this.#outbox = outbox
  }

  /**
   * Shows a session to a client from `from` on, in place of a subscription it may have. Resolves when it is live, or when
   * it has to wait for something. @throws ServiceError `unavailable` when the client watches too many already.
   */
  subscribe(
    sessionId: SessionId,
    receiver: Receiver,
    from: Place | 'now',
    question?: { readonly requestId: RequestId | undefined },
  ): Promise<void> {
    this.#drop(sessionId, receiver)
    const subscription = this.#add(new Subscription(sessionId, receiver, { state: 'resuming', place: from }))
    subscription.question = question
    return this.#resume(subscription)
  }

  /** Shows a session that is about to be created: its first event comes when a worker has accepted the spawn. */
  expect(sessionId: SessionId, receiver: Receiver): void {
    if (this.isSubscribed(sessionId, receiver)) return
    this.#add(new Subscription(sessionId, receiver, { state: 'awaiting', place: START }))
  }

  isSubscribed(sessionId: SessionId, receiver: Receiver): boolean {
    return this.#sessions.get(sessionId)?.has(receiver) ?? false
  }

  /** Sessions that are watched, each counted once for every client that does. */
  get size(): number {
    let size = 0
    for (const own of this.#byReceiver.values()) size += own.size
    return size
  }

  has(sessionId: SessionId): boolean {
    return this.#sessions.has(sessionId)
  }

  sessions(): readonly SessionId[] {
    return [...this.#sessions.keys()]
  }

  watchersOf(sessionId: SessionId): readonly Receiver[] {
    return [...(this.#sessions.get(sessionId)?.keys() ?? [])]
  }

  /** A worker accepted a spawn. A new session has subscribed this edge by itself; of another the past must be read. */
  spawned(sessionId: SessionId, status: 'new' | 'dup'): void {
    for (const subscription of this.#sessions.get(sessionId)?.values() ?? []) {
      if (subscription.state !== 'awaiting') continue
      if (status === 'new' && !subscription.fromNow) subscription.state = 'live'
      else void this.#resume(subscription)
    }
  }

  /** The owner has looked for a session that the store did not hold. */
  awoke(sessionId: SessionId): void {
    for (const subscription of this.#sessions.get(sessionId)?.values() ?? []) {
      if (subscription.state === 'awaiting') void this.#resume(subscription)
    }
  }

  /** Hands an entry to everybody who watches its session. */
  deliver(sessionId: SessionId, entry: LiveEntry): void {
    const watchers = this.#sessions.get(sessionId)
    if (!watchers) this.#leave(sessionId)
    else for (const subscription of watchers.values()) this.#route(subscription, entry)
  }

  /** The client has read: what it missed meanwhile is read from the log. */
  roomAgain(receiver: Receiver): void {
    for (const subscription of this.#byReceiver.get(receiver)?.values() ?? []) {
      if (subscription.state === 'behind') void this.#resume(subscription)
    }
  }

  /** Entries may have been lost: everybody reads the log, under the new name of the outbox. */
  reopened(outbox: Outbox): void {
    this.#outbox = outbox
    for (const watchers of this.#sessions.values()) {
      for (const subscription of watchers.values()) {
        // An awaited session gets a second submission, and with its acceptance a resume.
        if (subscription.state === 'live' || subscription.state === 'resuming') void this.#resume(subscription)
      }
    }
  }

  /** Returns whether there was something to end. */
  unsubscribe(sessionId: SessionId, receiver: Receiver): boolean {
    if (!this.#drop(sessionId, receiver)) return false
    if (!this.#sessions.has(sessionId)) this.#leave(sessionId)
    return true
  }

  /** The client has gone. */
  forget(receiver: Receiver): void {
    for (const sessionId of [...(this.#byReceiver.get(receiver)?.keys() ?? [])]) this.unsubscribe(sessionId, receiver)
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const receiver of [...this.#byReceiver.keys()]) {
      for (const sessionId of [...(this.#byReceiver.get(receiver)?.keys() ?? [])]) this.#drop(sessionId, receiver)
    }
  }

  #route(subscription: Subscription, entry: LiveEntry): void {
    if (subscription.state === 'resuming') {
      this.#buffers.get(subscription)?.add(entry)
      return
    }
    if (subscription.state === 'behind' || subscription.state === 'closed' || subscription.fromNow) return
    for (const piece of entry) {
      const delivery = 'body' in piece ? subscription.sendEvent(piece) : subscription.sendText(piece)
      if (delivery === 'sent') subscription.state = 'live'
      if (delivery === 'gap') void this.#resume(subscription)
      if (delivery === 'full') subscription.state = 'behind'
      if (delivery === 'gap' || delivery === 'full') return
    }
  }

  /** Starts reading the log; ends any earlier reading. Never rejects. */
  async #resume(subscription: Subscription): Promise<void> {
    subscription.ticket += 1
    subscription.state = 'resuming'
    const { ticket } = subscription
    const buffer = new LiveBuffer()
    this.#buffers.set(subscription, buffer)
    try {
      const replay = new Replay(subscription, this.#deps, this.#isPatient(subscription))
      const outcome = await this.#slots.run(() => replay.run(() => this.#outboxName()))
      if (subscription.ticket === ticket) this.#arrive(subscription, outcome, buffer)
    } catch (error) {
      if (subscription.ticket !== ticket) return
      this.#trouble.warn({ err: error, sessionId: subscription.sessionId }, 'a resume failed; trying again')
      this.#later(subscription, RETRY_MS)
    }
  }

  #isPatient(subscription: Subscription): boolean {
    const since = this.#aheadSince.get(subscription)
    return since === undefined || performance.now() - since < AHEAD_PATIENCE_MS
  }

  #arrive(subscription: Subscription, outcome: ReplayOutcome, buffer: LiveBuffer): void {
    this.#buffers.delete(subscription)
    if (outcome === 'ahead') {
      // Waits without holding one of the resumes: very many clients may be ahead together.
      if (!this.#aheadSince.has(subscription)) this.#aheadSince.set(subscription, performance.now())
      this.#later(subscription, AHEAD_RETRY_MS)
      return
    }
    this.#aheadSince.delete(subscription)
    if (outcome === 'absent') return void this.#awaitAbsent(subscription)
    this.#absentTries.delete(subscription)
    subscription.state = outcome === 'behind' ? 'behind' : 'live'
    if (outcome === 'behind') {
      // Room may have come while the log was being read, and then nobody tells us again.
      if (subscription.receiver.hasRoom()) void this.#resume(subscription)
      return
    }
    if (buffer.overflowed) return void this.#resume(subscription)
    for (const entry of buffer.entries) {
      if (subscription.state !== 'live') return
      this.#route(subscription, entry)
    }
  }

  async #awaitAbsent(subscription: Subscription): Promise<void> {
    const { ticket, sessionId } = subscription
    subscription.state = 'awaiting'
    const tries = (this.#absentTries.get(subscription) ?? 0) + 1
    this.#absentTries.set(subscription, tries)
    const session = await this.#deps.snapshot(sessionId).catch(() => undefined)
    if (subscription.ticket !== ticket || subscription.state !== 'awaiting') return
    // An ended session whose events all came from Postgres has no more to say.
    if (session && isTerminal(session.status)) return
    if (tries <= MAX_WAKES) this.#wake(sessionId)
    if (tries <= MAX_ABSENT_TRIES) return this.#later(subscription, RETRY_MS)
    const error = new ServiceError('unavailable', { reason: 'no worker has taken this session yet' })
    const requestId = subscription.question?.requestId
    subscription.receiver.push(JSON.stringify(errorReply(error, { sessionId, requestId })))
    this.unsubscribe(sessionId, subscription.receiver)
  }

  #wake(sessionId: SessionId): void {
    this.#deps.wake(sessionId, this.#outboxName()).catch((error: unknown) => {
      this.#deps.trace.debug({ err: error, sessionId }, 'the owner of a session could not be asked for it')
    })
  }

  #later(subscription: Subscription, ms: number): void {
    const { ticket } = subscription
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (subscription.ticket === ticket && subscription.state !== 'live') void this.#resume(subscription)
    }, ms)
    this.#timers.add(timer)
  }

  #add(subscription: Subscription): Subscription {
    const { sessionId, receiver } = subscription
    const own = this.#byReceiver.get(receiver) ?? new Map<SessionId, Subscription>()
    if (own.size >= MAX_PER_RECEIVER) {
      throw new ServiceError('unavailable', { reason: `one connection may watch ${MAX_PER_RECEIVER} sessions` })
    }
    this.#byReceiver.set(receiver, own.set(sessionId, subscription))
    const watchers = this.#sessions.get(sessionId) ?? new Map<Receiver, Subscription>()
    this.#sessions.set(sessionId, watchers.set(receiver, subscription))
    return subscription
  }

  #drop(sessionId: SessionId, receiver: Receiver): boolean {
    const watchers = this.#sessions.get(sessionId)
    const subscription = watchers?.get(receiver)
    if (!watchers || !subscription) return false
    subscription.ticket += 1
    subscription.state = 'closed'
    this.#buffers.delete(subscription)
    watchers.delete(receiver)
    if (watchers.size === 0) this.#sessions.delete(sessionId)
    const own = this.#byReceiver.get(receiver)
    own?.delete(sessionId)
    if (own?.size === 0) this.#byReceiver.delete(receiver)
    return true
  }

  /** Nobody here watches this session: its owner need not send it here. Entries that keep coming make us ask again. */
  #leave(sessionId: SessionId): void {
    if (this.#leaving.has(sessionId)) return
    this.#leaving.add(sessionId)
    this.#deps.log
      .unsubscribe(sessionId, this.#outboxName())
      .catch((error: unknown) => this.#deps.trace.debug({ err: error, sessionId }, 'an unsubscribe failed'))
      .finally(() => this.#leaving.delete(sessionId))
  }

  #outboxName(): Outbox {
    if (this.#outbox === undefined) throw new Error('the outbox is not open yet')
    return this.#outbox
  }
}
