/**
 * Brings one subscription from where its client is to the present: the log first, Postgres for what the log has dropped,
 * and an explicit reset with a snapshot when the position is in neither. Never a silent hole.
 */
import type { Resumed, SessionLog, StoredEvent } from '../bus/bus.js'
import type { Outbox } from '../bus/command.js'
import { type EventId, parseEventId, type SessionId } from '../protocol/ids.js'
import type { Subscribed } from '../protocol/replies.js'
import type { Session } from '../protocol/session.js'
import type { EventRows } from './rows.js'
import { type Delivery, numbered, START, type Subscription } from './subscription.js'

/** Events read at once: a few KB to a few hundred KB, about what a connection takes before it must drain. */
const PAGE_EVENTS = 256

/**
 * `live` subscribed, the client has everything · `behind` the client must read first · `absent` the store does not hold
 * the session (what Postgres has of it is sent) · `ahead` the client has more than the store, whose owner may be putting it
 * back · `stopped` somebody else took over this subscription.
 */
export type ReplayOutcome = 'live' | 'behind' | 'absent' | 'ahead' | 'stopped'

export interface ReplaySources {
  readonly log: Pick<SessionLog, 'resume'>
  readonly events: EventRows
  snapshot(id: SessionId): Promise<Session | undefined>
}

export class Replay {
  readonly #subscription: Subscription
  readonly #sources: ReplaySources
  readonly #ticket: number

  /** `patient`: a client that is ahead of the store is not reset yet. */
  constructor(
    subscription: Subscription,
    sources: ReplaySources,
    private readonly patient: boolean,
  ) {
    this.#subscription = subscription
    this.#sources = sources
    this.#ticket = subscription.ticket
  }

  /** @throws whatever the stores throw: the caller tries again. */
  async run(outbox: () => Outbox): Promise<ReplayOutcome> {
    const { sessionId, receiver } = this.#subscription
    for (;;) {
      if (this.#stopped()) return 'stopped'
      if (!receiver.hasRoom()) return 'behind'
      const after = this.#subscription.fromNow ? 'now' : this.#subscription.eventId
      const resumed = await this.#sources.log.resume(sessionId, outbox(), after, PAGE_EVENTS)
      if (this.#stopped()) return 'stopped'
      const next = await this.#take(resumed)
      if (next !== 'again') return next
    }
  }

  async #take(resumed: Resumed): Promise<ReplayOutcome | 'again'> {
    switch (resumed.status) {
      case 'ok':
        return this.#finish(resumed)
      case 'more':
        this.#announce()
        return this.#after(this.#deliver(resumed.events))
      case 'below':
        if (this.patient && this.#subscription.place.seq > eventId(resumed.head).seq) return 'ahead'
        return this.#history(eventId(resumed.floor))
      case 'unknown':
        return this.#withoutLog()
    }
  }

  async #finish(resumed: Extract<Resumed, { status: 'ok' }>): Promise<ReplayOutcome | 'again'> {
    const subscription = this.#subscription
    if (subscription.fromNow) await this.#startAt(eventId(resumed.head))
    if (this.#stopped()) return 'stopped'
    this.#announce()
    const delivery = this.#deliver(resumed.events)
    if (delivery === 'full') return 'behind'
    if (delivery === 'gap' || subscription.eventId !== resumed.head) return this.#reset()
    // Asked before another message's text is sent: after that nobody would know that there was one.
    const isOther = subscription.hasOpenText(resumed.part?.messageId)
    const part = !isOther && resumed.part && subscription.sendPart(resumed.part.messageId, resumed.part.text)
    if (part === 'full') return 'behind'
    if (isOther || part === 'gap') return this.patient ? 'ahead' : this.#reset()
    return 'live'
  }

  /** Reads from Postgres up to the log's floor, or to the end. */
  async #history(floor: EventId | undefined): Promise<ReplayOutcome | 'again'> {
    const subscription = this.#subscription
    if (!(await this.#isKnown(floor))) return this.#stopped() ? 'stopped' : this.#reset()
    for (;;) {
      if (this.#stopped()) return 'stopped'
      this.#announce()
      if (!subscription.receiver.hasRoom()) return 'behind'
      const page = await this.#sources.events.page(subscription.sessionId, subscription.place, floor, PAGE_EVENTS)
      if (this.#stopped()) return 'stopped'
      const delivery = this.#deliver(page)
      if (delivery === 'full') return 'behind'
      if (delivery === 'gap') return this.#reset()
      if (page.length < PAGE_EVENTS) break
    }
    const holey = floor !== undefined && subscription.place.seq < floor.seq
    return holey ? this.#reset() : 'again'
  }

  /** A position that Postgres can continue: the beginning, or an event it holds below the log's floor. */
  async #isKnown(floor: EventId | undefined): Promise<boolean> {
    const { place, sessionId } = this.#subscription
    if (place.seq === 0) {
      this.#subscription.moveTo(START)
      return true
    }
    if (floor !== undefined && place.seq >= floor.seq) return false
    return this.#sources.events.contains(sessionId, place)
  }

  async #withoutLog(): Promise<ReplayOutcome> {
    const subscription = this.#subscription
    if (!subscription.fromNow) {
      const outcome = await this.#history(undefined)
      if (outcome !== 'again' || !subscription.fromNow) return outcome === 'again' ? 'absent' : outcome
    }
    const last = await this.#sources.events.last(subscription.sessionId)
    if (this.#stopped()) return 'stopped'
    if (last === undefined) return 'absent'
    await this.#startAt(last)
    if (this.#stopped()) return 'stopped'
    this.#announce()
    return 'absent'
  }

  #reset(): 'again' {
    this.#subscription.owesReset = true
    this.#subscription.fromNow = true
    return 'again'
  }

  /** Starts at an event instead of the client's place; after a reset the snapshot replaces what the client has. */
  async #startAt(head: EventId): Promise<void> {
    const subscription = this.#subscription
    const session = subscription.owesReset ? await this.#sources.snapshot(subscription.sessionId) : undefined
    if (this.#stopped()) return
    subscription.moveTo({ ...START, ...head })
    subscription.fromNow = false
    if (subscription.owesReset) this.#tell({ reset: true, ...(session !== undefined && { session }) })
    subscription.owesReset = false
  }

  /** Answers the client's `subscribe`, once. */
  #announce(): void {
    if (this.#subscription.question) this.#tell({ reset: false })
  }

  #tell(about: Pick<Subscribed, 'reset' | 'session'>): void {
    const subscription = this.#subscription
    const requestId = subscription.question?.requestId
    subscription.question = undefined
    const reply: Subscribed = {
      type: 'subscribed',
      sessionId: subscription.sessionId,
      eventId: subscription.eventId,
      ...about,
      ...(requestId !== undefined && { requestId }),
    }
    subscription.receiver.push(JSON.stringify(reply))
  }

  /** Sends events in order until one does not fit. */
  #deliver(events: readonly StoredEvent[]): Delivery {
    for (const event of events) {
      const delivery = this.#subscription.sendEvent(numbered(event))
      if (delivery === 'full' || delivery === 'gap') return delivery
    }
    return 'sent'
  }

  #after(delivery: Delivery): ReplayOutcome | 'again' {
    if (delivery === 'full') return 'behind'
    return delivery === 'gap' ? this.#reset() : 'again'
  }

  #stopped(): boolean {
    return this.#subscription.ticket !== this.#ticket
  }
}

/** @throws TypeError when the store answers with something that is no event id. */
function eventId(text: string): EventId {
  const id = parseEventId(text)
  if (!id) throw new TypeError(`the log answered with ${text} instead of an event id`)
  return id
}
