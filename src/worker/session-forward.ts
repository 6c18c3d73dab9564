/**
 * Moves a session forward to what Postgres has of it. The owner whose events Redis lost had projected them and died: they
 * have been shown and may not happen otherwise, so they go back into the log as they were, byte by byte, under the epoch
 * that wrote them. What they say about commands is done again too: those that they end are remembered as ended, also where
 * the store has forgotten that it ever accepted them.
 */
import type { StoredEvent } from '../bus/bus.js'
import { type Change, type Claim, LIMITS, type SessionLog, type SessionRecord, type SmallState } from '../bus/bus.js'
import type { Command, SpawnCommand } from '../bus/command.js'
import type { LoggedEvent } from '../protocol/events.js'
import { type EventId, newWriterId, parseEventId } from '../protocol/ids.js'
import { isTerminal } from '../protocol/session.js'
import type { PageEvents } from './history.js'
import { stateAfter } from './session-state.js'

export interface ForwardStorage {
  lastEvent(sessionId: string): Promise<EventId | undefined>
  readonly pageEvents: PageEvents
}

export interface Forwarded {
  /** How many were put back. */
  readonly events: number
  /** Ids of the commands that they end. */
  readonly ended: ReadonlySet<string>
}

const NOTHING: Forwarded = { events: 0, ended: new Set() }

/** What Postgres holds and what the store holds do not fit together. */
export class NotForwarded extends Error {
  override readonly name = 'NotForwarded'
}

/**
 * Puts events back, none of them behind number `upTo`.
 * @throws what the stores throw, and NotForwarded when they do not fit together: the session is then loaded again later.
 */
export async function forwardSession(
  record: SessionRecord,
  claim: Claim,
  log: Pick<SessionLog, 'commit'>,
  storage: ForwardStorage,
  upTo = Number.POSITIVE_INFINITY,
): Promise<Forwarded> {
  const last = await storage.lastEvent(record.sessionId)
  const head = parseEventId(record.head)
  if (!last || !head) return NOTHING
  const end = Math.min(last.seq, upTo)
  if (end <= head.seq) return NOTHING
  const forward = new Forward(record)
  for (let after = head; after.seq < end; ) {
    const stored = await storage.pageEvents(record.sessionId, after, last, LIMITS.eventsPerCommit)
    const page = stored.filter(({ eventId }) => (parseEventId(eventId)?.seq ?? 0) <= end)
    for (const events of oneCommitEach(page)) {
      const reply = await log.commit(claim, forward.changeOf(events))
      if (reply.status !== 'ok')
        throw new NotForwarded(`session ${record.sessionId} could not be moved forward: ${reply.status}`)
    }
    const reached = parseEventId(page.at(-1)?.eventId ?? '')
    if (!reached) throw new NotForwarded(`session ${record.sessionId}: PostgreSQL has ${end} events and shows fewer`)
    after = reached
  }
  return { events: end - head.seq, ended: forward.ended }
}

/** Events of one epoch that fit into one commit. */
function* oneCommitEach(page: readonly StoredEvent[]): Generator<readonly StoredEvent[]> {
  let some: StoredEvent[] = []
  let chars = 0
  for (const event of page) {
    const [first] = some
    const fits = chars + event.body.length <= LIMITS.charsPerCommit && epochOf(event) === (first && epochOf(first))
    if (first && !fits) {
      yield some
      some = []
      chars = 0
    }
    some.push(event)
    chars += event.body.length
  }
  if (some.length > 0) yield some
}

const epochOf = ({ eventId }: StoredEvent): number => parseEventId(eventId)?.epoch ?? 0

/** What the session becomes, event by event. */
class Forward {
  readonly #writer = newWriterId()
  readonly #inbox: Command[]
  readonly #control: Command[]
  readonly #owner: string | undefined
  /** Ids of commands that have ended. */
  readonly #ended = new Set<string>()
  #state: SmallState | undefined
  #seq: number
  #commits = 0
  #lastCommit: string

  constructor(private readonly record: SessionRecord) {
    this.#inbox = record.inbox.map((body) => JSON.parse(body) as Command)
    this.#control = record.control.map((body) => JSON.parse(body) as Command)
    this.#owner = this.#inbox.find((it): it is SpawnCommand => it.type === 'spawn')?.owner
    this.#state = record.state === '' ? undefined : (JSON.parse(record.state) as SmallState)
    this.#seq = parseEventId(record.head)?.seq ?? 0
    this.#lastCommit = record.lastCommit
  }

  get ended(): ReadonlySet<string> {
    return this.#ended
  }

  /** @throws NotForwarded when the events do not follow what is here. */
  changeOf(stored: readonly StoredEvent[]): Change {
    const events = stored.map(({ body }) => JSON.parse(body) as LoggedEvent)
    for (const [index, event] of events.entries()) this.#apply(event, this.#seq + 1 + index)
    if (!this.#state) throw new NotForwarded(`session ${this.record.sessionId}: its events do not begin with its spawn`)
    const { status } = this.#state.session
    const inbox = takeWhile(this.#inbox, (it) => this.#ended.has(it.id))
    const control = takeWhile(this.#control, (it) => this.#ended.has(it.id) || isTerminal(status))
    // One that was accepted anew stands behind what came meanwhile: it is passed over when its turn comes.
    const cancelled = this.#inbox.filter((it) => this.#ended.has(it.id)).map(({ id }) => id)
    this.#state = { ...this.#state, cancelled: [...new Set([...this.#state.cancelled, ...cancelled])] }
    const commitId = `${this.#writer}-${++this.#commits}`
    const change: Change = {
      sessionId: this.record.sessionId,
      commitId,
      after: this.#lastCommit,
      expectedSeq: this.#seq,
      eventEpoch: parseEventId(lastId(stored))?.epoch ?? 0,
      events: stored.map(({ body }) => body),
      status,
      state: JSON.stringify(this.#state),
      popInbox: inbox,
      popControl: control,
      ended: events.flatMap(({ commandId, eventId }) => (commandId === undefined ? [] : [{ commandId, eventId }])),
      clearPart: events.some(({ type }) => type === 'stream_start' || type === 'stream_end'),
    }
    this.#seq += stored.length
    this.#lastCommit = commitId
    return change
  }

  #apply(event: LoggedEvent, seq: number): void {
    if (parseEventId(event.eventId)?.seq !== seq) {
      throw new NotForwarded(`session ${this.record.sessionId}: ${event.eventId} stands where event ${seq} belongs`)
    }
    this.#state = this.#stateAfter(event)
    if (event.commandId !== undefined) this.#ended.add(event.commandId)
  }

  #stateAfter(event: LoggedEvent): SmallState | undefined {
    const owner = this.#owner === undefined ? {} : { owner: this.#owner }
    if (event.type === 'session_spawned') return { session: event.session, ...owner, turn: 0, cancelled: [] }
    if (!this.#state) return undefined
    if (event.type === 'session_status_update') return { ...this.#state, session: event.session }
    return stateAfter(this.#state, event)
  }
}

const lastId = (stored: readonly StoredEvent[]): string => stored.at(-1)?.eventId ?? ''

/** Takes commands from the front for as long as each has ended, and tells how many. */
function takeWhile(commands: Command[], hasEnded: (command: Command) => boolean): number {
  const left = commands.findIndex((it) => !hasEnded(it))
  return commands.splice(0, left === -1 ? commands.length : left).length
}
