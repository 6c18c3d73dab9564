/**
 * Whose a session is, and what it looks like now. A session that somebody may not see and one that does not exist are
 * the same to them.
 */
import type { SessionHead, SessionLog, SmallState } from '../bus/bus.js'
import type { SpawnCommand } from '../bus/command.js'
import { ServiceError } from '../protocol/errors.js'
import { formatEventId, LOG_START, type SessionId, shardOfSession } from '../protocol/ids.js'
import { type Holder, maySee } from '../protocol/permissions.js'
import type { Session, SessionType } from '../protocol/session.js'
import type { Principal } from './auth.js'
import type { EventRows, SessionRow, SessionRows, SessionSummary } from './rows.js'

/** Holders remembered: they never change, and each entry is about 200 bytes. */
const MAX_REMEMBERED = 50_000

export class SessionDirectory {
  readonly #log: Pick<SessionLog, 'peek'>
  readonly #rows: Pick<SessionRows, 'find'>
  readonly #holders = new Map<SessionId, Holder>()

  constructor(log: Pick<SessionLog, 'peek'>, rows: Pick<SessionRows, 'find'>) {
    this.#log = log
    this.#rows = rows
  }

  /** Whether a principal may see the session, as far as that is known without asking anybody. */
  isKnownTo(principal: Principal, id: SessionId): boolean {
    const holder = this.#holders.get(id)
    return holder !== undefined && maySee(principal, holder)
  }

  remember(id: SessionId, { tenant, subject }: Holder): void {
    // The oldest goes first; asking again costs one read.
    if (this.#holders.size >= MAX_REMEMBERED) {
      for (const oldest of this.#holders.keys()) {
        this.#holders.delete(oldest)
        break
      }
    }
    this.#holders.set(id, { tenant, subject })
  }

  /** @throws ServiceError `session_not_found` when there is no such session for this principal. */
  async checkAccess(id: SessionId, principal: Principal): Promise<void> {
    const holder = this.#holders.get(id) ?? (await this.#lookUp(id))
    if (!holder || !maySee(principal, holder)) throw new ServiceError('session_not_found', { sessionId: id })
  }

  /** The session as it stands: from the store, else from Postgres. */
  async snapshot(id: SessionId): Promise<Session | undefined> {
    if (shardOfSession(id) === undefined) return undefined
    const head = await this.#log.peek(id)
    const live = head && stateOf(head)?.session
    if (live) return live
    const row = await this.#rows.find(id)
    return row && sessionOfRow(row)
  }

  /** The session with the event after which it stood so; undefined while only its spawn is known. */
  async standing(
    id: SessionId,
    events: Pick<EventRows, 'last'>,
  ): Promise<{ readonly session: Session | undefined; readonly eventId: string }> {
    const head = await this.#log.peek(id)
    if (head) return { session: stateOf(head)?.session, eventId: head.head }
    // Read before the row: an event that comes in between is told twice rather than never.
    const last = await events.last(id)
    const session = await this.snapshot(id)
    return { session, eventId: last ? formatEventId(last.epoch, last.seq) : LOG_START }
  }

  async #lookUp(id: SessionId): Promise<Holder | undefined> {
    if (shardOfSession(id) === undefined) return undefined
    const head = await this.#log.peek(id)
    const holder = (head && holderOf(head)) ?? (await this.#holderInRow(id))
    if (holder) this.remember(id, holder)
    return holder
  }

  async #holderInRow(id: SessionId): Promise<Holder | undefined> {
    const row = await this.#rows.find(id)
    return row && { tenant: row.tenant, subject: row.owner }
  }
}

/** Undefined until a worker has begun the session: its state says who spawned it. */
function holderOf(head: SessionHead): Holder | undefined {
  const subject = stateOf(head)?.owner
  return subject === undefined ? undefined : { tenant: head.tenant, subject }
}

function stateOf(head: SessionHead): SmallState | undefined {
  return head.state === '' ? undefined : (JSON.parse(head.state) as SmallState)
}

/** A session as Postgres knows it: the last snapshot, or the spawn that no worker has begun yet. */
function sessionOfRow(row: SessionRow): Session {
  const { task } = JSON.parse(row.spawn) as SpawnCommand
  return row.snapshot ?? { ...sessionOfSummary(row), task }
}

/** The same without the task, which a list does not read. */
export function sessionOfSummary(summary: SessionSummary): Session {
  return (
    summary.snapshot ?? {
      id: summary.id,
      orchestratorId: summary.orchestratorId,
      task: null,
      type: summary.type as SessionType,
      status: summary.status,
      startedAt: summary.createdAt.toISOString(),
      memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
      metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
      cost: 0,
    }
  )
}
