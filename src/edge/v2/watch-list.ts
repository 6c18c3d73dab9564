/**
 * What one client of the second protocol wants to hear: the sessions that it watches, each with its story, and the
 * subscriptions by which events are chosen.
 */
import { randomUUID } from 'node:crypto'
import { ServiceError } from '../../protocol/errors.js'
import type { LoggedEvent, StreamChunk } from '../../protocol/events.js'
import type { SessionId } from '../../protocol/ids.js'
import type { Subscribed } from '../../protocol/replies.js'
import type { V2Event } from '../../protocol/v2/events.js'
import type { EventFrame } from '../../protocol/v2/frames.js'
import { type Filter, matchesFilter, matchesPattern } from '../../protocol/v2/patterns.js'
import { Story, type StoryStart } from '../../protocol/v2/story.js'

/** Of one connection; each event is held against all of them. */
const MAX_SUBSCRIPTIONS = 64

interface Subscription {
  readonly patterns: readonly string[]
  readonly filter: Filter | undefined
}

interface Watched {
  readonly story: Story
  /** Whether everything is told, or only what a subscription chooses. */
  readonly whole: boolean
  /** The client has not named it: it is one of its tenant. */
  readonly fed: boolean
}

export class WatchList {
  readonly #sessions = new Map<SessionId, Watched>()
  readonly #subscriptions = new Map<string, Subscription>()
  #seq = 0

  isWatched(sessionId: SessionId): boolean {
    return this.#sessions.has(sessionId)
  }

  /** Begins a session's story anew. What was told whole stays so. */
  watch(sessionId: SessionId, start: StoryStart, { whole, fed }: Omit<Watched, 'story'>): void {
    const before = this.#sessions.get(sessionId)?.whole ?? false
    this.#sessions.set(sessionId, { story: new Story(sessionId, start), whole: whole || before, fed })
  }

  /** The client has named a session that is watched already. `whole`: it wants everything. */
  keep(sessionId: SessionId, whole: boolean): void {
    const watched = this.#sessions.get(sessionId)
    if (watched) this.#sessions.set(sessionId, { ...watched, whole: whole || watched.whole, fed: false })
  }

  /** Lets go of a session that the client has not named; undefined when it has. Else the prompt that it is in. */
  release(sessionId: SessionId): { readonly promptId: string | undefined } | undefined {
    const watched = this.#sessions.get(sessionId)
    if (!watched?.fed) return undefined
    this.#sessions.delete(sessionId)
    return { promptId: watched.story.promptBegun }
  }

  /** Whether a subscription means whatever there is, and no session of its own. */
  get meansAll(): boolean {
    return [...this.#subscriptions.values()].some(({ filter }) => sessionMeant(filter) === undefined)
  }

  forget(sessionId: SessionId): void {
    this.#sessions.delete(sessionId)
  }

  /** Returns the id of the new subscription. @throws ServiceError `unavailable` when there are too many */
  subscribe(patterns: readonly string[], filter: Filter | undefined): string {
    if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new ServiceError('unavailable', { reason: `one connection may have ${MAX_SUBSCRIPTIONS} subscriptions` })
    }
    const id = `sub_${randomUUID()}`
    this.#subscriptions.set(id, { patterns, filter })
    return id
  }

  /** Returns the session that nobody watches any more; @throws ServiceError when there is no such subscription */
  unsubscribe(subscriptionId: string): SessionId | undefined {
    const ended = this.#subscriptions.get(subscriptionId)
    if (!ended) throw new ServiceError('subscription_not_found', { subscriptionId })
    this.#subscriptions.delete(subscriptionId)
    const sessionId = sessionMeant(ended.filter)
    const watched = sessionId === undefined ? undefined : this.#sessions.get(sessionId)
    if (sessionId === undefined || !watched || watched.whole || watched.fed) return undefined
    const isWanted = [...this.#subscriptions.values()].some(({ filter }) => sessionMeant(filter) === sessionId)
    if (isWanted) return undefined
    this.#sessions.delete(sessionId)
    return sessionId
  }

  /** What happened in a session, as frames for this client. */
  tell(message: LoggedEvent | StreamChunk): readonly EventFrame[] {
    const sessionId = message.type === 'stream_chunk' ? message.data.sessionId : message.sessionId
    const watched = this.#sessions.get(sessionId)
    if (!watched) return []
    return watched.story.tell(message).flatMap((event) => this.#addressed(event, watched.whole))
  }

  /** The client's place was in no store: told whatever it has chosen, because what it has is void. */
  reset({ sessionId, session, eventId }: Subscribed): readonly EventFrame[] {
    const events = this.#sessions.get(sessionId)?.story.reset(session, eventId) ?? []
    return events.flatMap((event) => this.#addressed(event, true))
  }

  /** A frame that everybody gets. */
  unasked({ event, payload }: V2Event): EventFrame {
    return { event, payload, seq: this.#seq++ }
  }

  /** One frame for each subscription that means the event; without one, one where the session is told whole. */
  #addressed(event: V2Event, whole: boolean): readonly EventFrame[] {
    const meant = [...this.#subscriptions].filter(([, subscription]) => means(subscription, event))
    if (meant.length === 0) return whole ? [this.unasked(event)] : []
    const seq = this.#seq++
    return meant.map(([subscriptionId]) => ({ ...event, seq, subscriptionId }))
  }
}

const means = ({ patterns, filter }: Subscription, { event, payload }: V2Event): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, event)) && matchesFilter(filter, payload)

/** The session that a filter names: a team and an agent are sessions too. */
export function sessionMeant(filter: Filter | undefined): SessionId | undefined {
  const named = filter?.sessionId ?? filter?.teamId ?? filter?.agentId
  return typeof named === 'string' ? named : undefined
}
