/**
 * The events of a session that its next turn needs: those of the log, and behind them, where they were trimmed, those that
 * Postgres has, from the newest to the oldest, until nothing older is needed.
 */
import type { SessionLog, StoredEvent } from '../bus/bus.js'
import type { LoggedEvent } from '../protocol/events.js'
import { type EventId, parseEventId } from '../protocol/ids.js'
import type { Reach } from './lookback.js'
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
  /** What Postgres holds of a session up to `upTo`, newest first. */
  readonly pageEventsBack: (sessionId: string, upTo: EventId, limit: number) => Promise<readonly StoredEvent[]>
}

const PAGE_EVENTS = 500
/** The log is trimmed at most once a second; one that still has a hole has lost events, which nobody here can bring back. */
const MAX_READS = 3

/**
 * Oldest first. Waits for the store as a write does, for as long as `signal` allows. @throws WriterLost when it stays away,
 * the signal's reason, and what `pageEventsBack` throws
 */
export async function readHistory(
  sources: HistorySources,
  sessionId: string,
  reach: Reach,
  signal: AbortSignal,
): Promise<readonly LoggedEvent[]> {
  const { log } = sources
  const patient = <T>(ask: () => Promise<T>): Promise<T> =>
    untilStoreAnswers(ask, () => (signal.aborted ? signal.reason : undefined))
  for (let reads = 1; ; reads++) {
    const record = await patient(() => log.load(sessionId))
    if (!record) return []
    const logged = await readAll(record.floor, (after) => patient(() => log.events(sessionId, after, PAGE_EVENTS)))
    // What is trimmed between two reads is in neither of them.
    const isWhole = seqOf(logged.at(-1)?.eventId ?? record.floor) - seqOf(record.floor) === logged.length
    const isRecent = seqOf(record.floor) + logged.length >= seqOf(record.head)
    if ((isWhole && isRecent) || reads === MAX_READS) return lookBack(sources, sessionId, reach, logged, record.floor)
  }
}

async function lookBack(
  { pageEventsBack }: HistorySources,
  sessionId: string,
  reach: Reach,
  logged: readonly StoredEvent[],
  floor: string,
): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = []
  let page = logged.toReversed()
  for (let upTo = parseEventId(floor); ; ) {
    for (const { body } of page) {
      const event = JSON.parse(body) as LoggedEvent
      events.push(event)
      if (reach.take(event, body.length)) return events.reverse()
    }
    if (!upTo || upTo.seq <= 0) return events.reverse()
    page = [...(await pageEventsBack(sessionId, upTo, PAGE_EVENTS))]
    const oldest = parseEventId(page.at(-1)?.eventId ?? '')
    upTo = page.length < PAGE_EVENTS ? undefined : oldest && { ...oldest, seq: oldest.seq - 1 }
  }
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
