/**
 * What happened in a session, page by page: from its log, and from Postgres what the log has dropped.
 */
import type { SessionLog, StoredEvent } from '../../bus/bus.js'
import { type EventId, LOG_START, parseEventId, type SessionId } from '../../protocol/ids.js'
import type { EventRows } from '../rows.js'

export interface EventPage {
  readonly events: readonly StoredEvent[]
  /** The last event of the page, or where it was to begin. */
  readonly next: string
  /** The last event of the session. */
  readonly head: string
}

export interface HistorySources {
  readonly log: Pick<SessionLog, 'peek' | 'events'>
  readonly rows: EventRows
}

/** JSON of one page, in characters: events of tools may be large. */
const MAX_PAGE_CHARS = 2 * 1024 * 1024
/** The log may be trimmed between a look into Postgres and one into it; then both are looked at again. */
const MAX_LOOKS = 3
const START: EventId = { epoch: 0, seq: 0 }

export class History {
  readonly #sources: HistorySources

  constructor(sources: HistorySources) {
    this.#sources = sources
  }

  /** Events behind `after`, oldest first, without a hole. @throws whatever the stores throw */
  async page(sessionId: SessionId, after: string, limit: number): Promise<EventPage> {
    const events = withinChars(await this.#events(sessionId, parseEventId(after) ?? START, limit))
    const next = events.at(-1)?.eventId ?? after
    return { events, next, head: await this.#head(sessionId) }
  }

  async #events(sessionId: SessionId, after: EventId, limit: number): Promise<readonly StoredEvent[]> {
    const logged = await this.#logged(sessionId, after, limit)
    if (follows(logged, after)) return logged
    let stored: readonly StoredEvent[] = []
    for (let look = 0; look < MAX_LOOKS; look++) {
      stored = await this.#sources.rows.page(sessionId, after, undefined, limit)
      if (stored.length === limit) return stored
      const last = parseEventId(stored.at(-1)?.eventId ?? '') ?? after
      const rest = await this.#logged(sessionId, last, limit - stored.length)
      if (rest.length === 0 || follows(rest, last)) return [...stored, ...rest]
    }
    return stored
  }

  #logged(sessionId: SessionId, { epoch, seq }: EventId, limit: number): Promise<readonly StoredEvent[]> {
    return this.#sources.log.events(sessionId, `${epoch}-${seq}`, limit)
  }

  async #head(sessionId: SessionId): Promise<string> {
    const { log, rows } = this.#sources
    const head = (await log.peek(sessionId))?.head
    if (head !== undefined) return head
    const last = await rows.last(sessionId)
    return last ? `${last.epoch}-${last.seq}` : LOG_START
  }
}

/** Whether events go on exactly where `after` stands. */
const follows = ([first]: readonly StoredEvent[], { seq }: EventId): boolean =>
  first !== undefined && parseEventId(first.eventId)?.seq === seq + 1

/** As many as fit, and one at least. */
function withinChars(events: readonly StoredEvent[]): readonly StoredEvent[] {
  let chars = 0
  const end = events.findIndex(({ body }, index) => {
    chars += body.length
    return index > 0 && chars > MAX_PAGE_CHARS
  })
  return end === -1 ? events : events.slice(0, end)
}
