/**
 * What somebody who sees a whole tenant hears of it: every session in which something happens, also those that come, while
 * it happens. A session that has been quiet is let go of, so that it may rest, and gone on with exactly where it was left.
 *
 *   look ─▶ at work, and not followed   ─▶ follow, from its place
 *        └▶ followed, and quiet or over ─▶ keep the place, let go
 */
import { ServiceError } from '../../protocol/errors.js'
import type { LoggedEvent, StreamChunk } from '../../protocol/events.js'
import { formatEventId, LOG_START, type SessionId } from '../../protocol/ids.js'
import { seesTenant } from '../../protocol/permissions.js'
import { isTerminal } from '../../protocol/session.js'
import type { From } from '../../protocol/v2/params.js'
import type { Peer } from './asked.js'
import type { V2Parts } from './parts.js'
import type { ActiveSession, Look } from './sources.js'
import { standingOfTenant } from './standing.js'

/** Without a word for so long a session is let go of. */
export const QUIET_MS = 60_000
/** Of one connection, besides those that it watches itself. What is at work beyond it waits until one of these is quiet. */
export const MAX_FOLLOWED = 500
/** Places that are kept of quiet sessions; of an older one its place is looked up. */
const MAX_KEPT = 2_000
/** A session was quiet before it was seen at work, so its place may be looked for so long before: clocks differ. */
const CLOCKS_DIFFER_MS = 30_000

interface Known {
  readonly place: From
  readonly heardAt: number
  readonly isFollowed: boolean
  /** It has ended, and says nothing any more. */
  readonly isOver: boolean
}

export class TenantFeed {
  readonly #peer: Peer
  readonly #parts: V2Parts
  /** In the order in which they came. */
  readonly #known = new Map<SessionId, Known>()
  #stop: (() => void) | undefined
  #firstLook: Date | undefined
  #lastLook: Date | undefined
  #isBusy = false
  #followed = 0
  #isOver = false

  constructor(peer: Peer, parts: V2Parts) {
    this.#peer = peer
    this.#parts = parts
  }

  /** May be called twice. */
  begin(): void {
    const { tenant } = this.#peer.connection.principal
    this.#stop ??= this.#parts.activity.watch(tenant, (look) => void this.#take(look))
  }

  /** Nobody wants it any more. May be called twice. */
  end(): void {
    this.#stop?.()
    this.#stop = undefined
    for (const [id, { isFollowed }] of this.#known) if (isFollowed) this.#letGo(id)
    this.#known.clear()
    this.#firstLook = undefined
    this.#lastLook = undefined
  }

  /** Notes where the client is in a session, whoever wanted that it is told. */
  heard(message: LoggedEvent | StreamChunk): void {
    if (!this.#stop) return
    const isText = message.type === 'stream_chunk'
    const id = isText ? message.data.sessionId : message.sessionId
    const known = this.#known.get(id)
    const eventId = isText ? known?.place.eventId : message.eventId
    if (eventId === undefined) return
    const text = isText && { messageId: message.data.messageId, offset: endOf(message.data) }
    const place = { ...known?.place, eventId, ...text }
    const ends = message.type === 'session_status_update' && isTerminal(message.session.status)
    const isOver = ends || known?.isOver === true
    this.#known.set(id, { isFollowed: known?.isFollowed ?? false, isOver, heardAt: performance.now(), place })
  }

  /** It is not followed any more, whoever wanted that. */
  left(id: SessionId): void {
    const known = this.#known.get(id)
    if (!known?.isFollowed) return
    this.#known.set(id, { ...known, isFollowed: false })
    this.#followed -= 1
  }

  /** One look at a time: what the next one brings is in the one after it too. */
  async #take({ at, sessions }: Look): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      if (!seesTenant(this.#peer.connection.principal.role)) return this.end()
      this.#firstLook ??= at
      this.#rest(new Set(sessions.map(({ id }) => id)))
      for (const session of sessions) if (this.#stop) await this.#follow(session)
      if (!this.#stop) return
      this.#tellBound(sessions)
      this.#lastLook = at
    } catch (err) {
      this.#parts.trace.warn({ err }, 'sessions of a tenant could not be followed; they are with the next look')
    } finally {
      this.#isBusy = false
    }
  }

  #rest(atWork: ReadonlySet<SessionId>): void {
    const quietSince = performance.now() - QUIET_MS
    for (const [id, { isFollowed, isOver, heardAt }] of this.#known) {
      const isQuiet = !atWork.has(id) && heardAt < quietSince
      if (isFollowed && (isOver || isQuiet)) this.#letGo(id)
    }
    for (const [id, { isFollowed }] of this.#known) {
      if (this.#known.size <= MAX_KEPT) return
      if (!isFollowed) this.#known.delete(id)
    }
  }

  /** What the client watches itself stays. */
  #letGo(id: SessionId): void {
    this.left(id)
    const known = this.#known.get(id)
    const released = this.#peer.watches.release(id)
    if (!known || !released) return
    this.#known.set(id, { ...known, place: { ...known.place, ...released } })
    this.#peer.unfollow(id)
  }

  async #follow(session: ActiveSession): Promise<void> {
    const { id } = session
    if (this.#followed >= MAX_FOLLOWED || this.#peer.watches.isWatched(id)) return
    const known = this.#known.get(id)
    if (known?.isOver) return
    const from = known?.place ?? (await this.#placeOf(session))
    const standing = await standingOfTenant(this.#parts, this.#peer.connection.principal.tenant, session)
    if (!standing || !this.#stop || this.#peer.watches.isWatched(id)) return
    const place = from ?? { eventId: standing.eventId }
    this.#known.set(id, { place, heardAt: performance.now(), isFollowed: true, isOver: false })
    this.#followed += 1
    this.#peer.follow(id, { standing, from: place, whole: false, fed: true })
  }

  /** Undefined: from now on, because nobody was told of it before. */
  async #placeOf({ id, createdAt }: ActiveSession): Promise<From | undefined> {
    if (!this.#lastLook || !this.#firstLook) return undefined
    if (createdAt >= this.#firstLook) return { eventId: LOG_START }
    const quiet = new Date(this.#lastLook.getTime() - CLOCKS_DIFFER_MS)
    const last = await this.#parts.sources.activity.lastBefore(id, quiet)
    return { eventId: last ? formatEventId(last.epoch, last.seq) : LOG_START }
  }

  #tellBound(sessions: readonly ActiveSession[]): void {
    const wasOver = this.#isOver
    const isLeftOut = ({ id }: ActiveSession) => !this.#known.get(id)?.isOver && !this.#peer.watches.isWatched(id)
    this.#isOver = this.#followed >= MAX_FOLLOWED && sessions.some(isLeftOut)
    if (!this.#isOver || wasOver) return
    const reason = `more than ${MAX_FOLLOWED} sessions of the tenant are at work; the others are not told until one is quiet`
    this.#peer.complain(new ServiceError('unavailable', { reason }))
  }
}

const endOf = ({ offset, chunk }: StreamChunk['data']): number => offset + Buffer.byteLength(chunk)
