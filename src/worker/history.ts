/**
 * All events of a session: those that were trimmed from the log come from Postgres.
 */
import type { SessionLog, StoredEvent } from '../bus/bus.js'
import type { LoggedEvent } from '../protocol/events.js'
import { type EventId, LOG_START, parseEventId } from '../protocol/ids.js'
import { untilStoreAnswers } from './store-patience.js'
import { seqOf } from './write-tail.js'

/** What Postgres holds of a session behind `after` and not behind `upTo`, oldest first. */
export type PageEvents = (
  sessionId: string,
  after: EventId,
  upTo: EventId,
  limit: number,
) => Promise<readonly StoredEvent[]>

export interface HistorySources {
  readonly log: Pick<SessionLog, 'load' | 'events'>
  readonly pageEvents: PageEvents
}

const PAGE_EVENTS = 500
/** The log is trimmed at most once a second; one that still has a hole has lost events, which nobody here can bring back. */
const MAX_READS = 3

/**
 * Waits for the store as a write does, for as long as `signal` allows. @throws WriterLost when it stays away, the signal's
 * reason, and what `pageEvents` throws
 */
export async function readHistory(
  sources: HistorySources,
  sessionId: string,
  signal: AbortSignal,
): Promise<readonly LoggedEvent[]> {
  const { log, pageEvents } = sources
  const patient = <T>(ask: () => Promise<T>): Promise<T> =>
    untilStoreAnswers(ask, () => (signal.aborted ? signal.reason : undefined))
  for (let reads = 1; ; reads++) {
    const record = await patient(() => log.load(sessionId))
    if (!record) return []
    const older = await readAll(LOG_START, (after) => trimmedEvents(pageEvents, sessionId, after, record.floor))
    const newer = await readAll(record.floor, (after) => patient(() => log.events(sessionId, after, PAGE_EVENTS)))
    // What is trimmed between two reads is in neither of them.
    const isWhole = seqOf(newer.at(-1)?.eventId ?? record.floor) - seqOf(record.floor) === newer.length
    const isRecent = seqOf(record.floor) + newer.length >= seqOf(record.head)
    if ((isWhole && isRecent) || reads === MAX_READS) {
      return [...older, ...newer].map(({ body }) => JSON.parse(body) as LoggedEvent)
    }
  }
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
