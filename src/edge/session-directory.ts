/**
 * Which tenant a session belongs to, and what it looks like now. A session of another tenant and one that does not exist
 * are the same to a client.
 */
import type { SessionHead, SessionLog, SmallState } from '../bus/bus.js'
import type { SpawnCommand } from '../bus/command.js'
import { ServiceError } from '../protocol/errors.js'
import { type SessionId, shardOfSession } from '../protocol/ids.js'
import type { Session, SessionType } from '../protocol/session.js'
import type { SessionRow, SessionRows, SessionSummary } from './dependencies.js'

/** Tenants remembered: an owner never changes, and each entry is about 100 bytes. */
const MAX_REMEMBERED = 50_000

export class SessionDirectory {
  readonly #log: Pick<SessionLog, 'peek'>
  readonly #rows: Pick<SessionRows, 'find'>
  readonly #tenants = new Map<SessionId, string>()

  constructor(log: Pick<SessionLog, 'peek'>, rows: Pick<SessionRows, 'find'>) {
    this.#log = log
    this.#rows = rows
  }

  /** The tenant, when it is known without asking anybody. */
  remembered(id: SessionId): string | undefined {
    return this.#tenants.get(id)
  }

  remember(id: SessionId, tenant: string): void {
    // The oldest goes first; asking again costs one read.
    if (this.#tenants.size >= MAX_REMEMBERED) {
      for (const oldest of this.#tenants.keys()) {
        this.#tenants.delete(oldest)
        break
      }
    }
    this.#tenants.set(id, tenant)
  }

  /** @throws ServiceError `session_not_found` when `tenant` has no such session. */
  async checkOwner(id: SessionId, tenant: string): Promise<void> {
    const owner = this.#tenants.get(id) ?? (await this.#lookUp(id))
    if (owner !== tenant) throw new ServiceError('session_not_found', { sessionId: id })
  }

  /** The session as it stands: from the store, else from Postgres. */
  async snapshot(id: SessionId): Promise<Session | undefined> {
    if (shardOfSession(id) === undefined) return undefined
    const head = await this.#log.peek(id)
    const live = head && stateOf(head)
    if (live) return live
    const row = await this.#rows.find(id)
    return row && sessionOfRow(row)
  }

  async #lookUp(id: SessionId): Promise<string | undefined> {
    if (shardOfSession(id) === undefined) return undefined
    const owner = (await this.#log.peek(id))?.tenant ?? (await this.#rows.find(id))?.tenant
    if (owner !== undefined) this.remember(id, owner)
    return owner
  }
}

function stateOf(head: SessionHead): Session | undefined {
  return head.state === '' ? undefined : (JSON.parse(head.state) as SmallState).session
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
