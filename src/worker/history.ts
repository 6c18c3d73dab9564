/**
 * All events of a session: those that were trimmed from the log come from Postgres.
 */
import type { SessionLog, StoredEvent } from '../bus/bus.js'
import type { LoggedEvent } from '../protocol/events.js'
import { type EventId, LOG_START, parseEventId } from '../protocol/ids.js'

/** What Postgres holds of a session behind `after` and not behind `upTo`, oldest first. */
export type PageEvents = (
  sessionId: string,
  after: EventId,
  upTo: EventId,
  limit: number,
) => Promise<readonly StoredEvent[]>

const PAGE_EVENTS = 500

export async function readHistory(
  log: SessionLog,
  pageEvents: PageEvents,
  sessionId: string,
): Promise<readonly LoggedEvent[]> {
  const record = await log.load(sessionId)
  if (!record) return []
  const older = await readAll(LOG_START, (after) => trimmedEvents(pageEvents, sessionId, after, record.floor))
  const newer = await readAll(record.floor, (after) => log.events(sessionId, after, PAGE_EVENTS))
  return [...older, ...newer].map(({ body }) => JSON.parse(body) as LoggedEvent)
}

async function trimmedEvents(
  pageEvents: PageEvents,
  sessionId: string,
  after: string,
  floor: string,
): Promise<readonly StoredEvent[]> {
  const from = parseEventId(after)
  const upTo = parseEventId(floor)
  if (!from || !upTo || from.seq >= upTo.seq) return []
  return await pageEvents(sessionId, from, upTo, PAGE_EVENTS)
}

async function readAll(
  start: string,
  page: (after: string) => Promise<readonly StoredEvent[]>,
): Promise<readonly StoredEvent[]> {
  const all: StoredEvent[] = []
  for (let after = start; ; ) {
    const events = await page(after)
    all.push(...events)
    const last = events.at(-1)
    if (!last || events.length < PAGE_EVENTS) return all
    after = last.eventId
  }
}
