/**
 * Every session of the cluster: reserved before a worker hears of it, then kept up to date by the projection.
 */
import { sql } from 'kysely'
import type { SessionId } from '../protocol/ids.js'
import type { Session, SessionStatus } from '../protocol/session.js'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface NewSession {
  readonly id: SessionId
  readonly shard: number
  readonly tenant: string
  /** The subject that spawned it; the tenant itself when left out. */
  readonly owner?: string
  readonly orchestratorId: string
  readonly type: string
  /** Under which the same spawn is found again; without it only the id counts. */
  readonly idemKey?: string
  readonly bodyHash: string
  /** Body of the spawn command, kept byte by byte. */
  readonly spawn: string
  /** Under which it remembers, where that is not the usual place. */
  readonly memoryProfile?: string
}

export type Reservation =
  | { readonly status: 'new'; readonly id: SessionId }
  /** Reserved before, with the same body: whoever comes again finishes the spawn of this session with this body. */
  | {
      readonly status: 'existing'
      readonly id: SessionId
      readonly shard: number
      readonly submitted: boolean
      readonly spawn: string
    }
  | { readonly status: 'conflict'; readonly id: SessionId }

export interface SessionSummary {
  readonly id: SessionId
  readonly shard: number
  readonly tenant: string
  readonly owner: string
  readonly orchestratorId: string
  readonly type: string
  readonly status: SessionStatus
  /** True once a worker is known to have the spawn command. */
  readonly submitted: boolean
  /** As of the last projection; null before the first. */
  readonly snapshot: Session | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface SessionRecord extends SessionSummary {
  readonly spawn: string
}

export interface UnsubmittedSession {
  readonly id: SessionId
  readonly shard: number
  readonly tenant: string
  readonly spawn: string
}

const COLUMNS = [
  'id',
  'shard',
  'tenant',
  'owner',
  'orchestrator_id as orchestratorId',
  'type',
  'status',
  'submitted',
  'snapshot',
  'created_at as createdAt',
  'updated_at as updatedAt',
] as const

const spawnText = sql<string>`spawn::text`.as('spawn')

export class Sessions {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Reserves a session under its tenant and idempotency key. Of many calls with one key exactly one is `new`; a call with
   * another body than the first is a `conflict`. May be repeated with the same id.
   */
  async reserve(session: NewSession): Promise<Reservation> {
    const { id, shard, tenant, owner = tenant, type, spawn } = session
    const [inserted] = await this.#database.sql
      .insertInto('sessions')
      .values({
        id,
        shard,
        tenant,
        owner: storableText(owner),
        orchestrator_id: storableText(session.orchestratorId),
        type,
        status: 'initializing',
        idem_key: session.idemKey === undefined ? null : storableText(session.idemKey),
        body_hash: session.bodyHash,
        spawn,
        ...(session.memoryProfile !== undefined && { memory_profile: session.memoryProfile }),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .execute()
    return inserted ? { status: 'new', id } : this.#reservedBefore(session)
  }

  async #reservedBefore({ id, tenant, idemKey, bodyHash }: NewSession): Promise<Reservation> {
    const found = await this.#database.sql
      .selectFrom('sessions')
      .select(['id', 'shard', 'submitted', 'body_hash as bodyHash', spawnText])
      .where((is) =>
        idemKey === undefined
          ? is('id', '=', id)
          : is.and([is('tenant', '=', tenant), is('idem_key', '=', storableText(idemKey))]),
      )
      .executeTakeFirstOrThrow()
    if (found.bodyHash !== bodyHash) return { status: 'conflict', id: found.id }
    return { status: 'existing', id: found.id, shard: found.shard, submitted: found.submitted, spawn: found.spawn }
  }

  async find(id: SessionId): Promise<SessionRecord | undefined> {
    const found = await this.#database.sql
      .selectFrom('sessions')
      .select([...COLUMNS, spawnText])
      .where('id', '=', id)
      .executeTakeFirst()
    return found as SessionRecord | undefined
  }

  /** Takes the idempotency key from a session, so that the next `reserve` may have it. May be repeated. */
  async releaseKey(id: SessionId): Promise<void> {
    await this.#database.sql.updateTable('sessions').set({ idem_key: null }).where('id', '=', id).execute()
  }

  /** Notes that the spawn command reached a worker. */
  async markSubmitted(id: SessionId): Promise<void> {
    await this.#database.sql.updateTable('sessions').set({ submitted: true }).where('id', '=', id).execute()
  }

  /** Sessions of `shards` whose spawn was reserved at least `olderThanMs` ago and not seen since, oldest first. */
  async findUnsubmitted(shards: readonly number[], olderThanMs: number, limit: number): Promise<UnsubmittedSession[]> {
    // Index sessions_unsubmitted.
    return this.#database.sql
      .selectFrom('sessions')
      .select(['id', 'shard', 'tenant', spawnText])
      .where('submitted', '=', sql<boolean>`false`)
      .where(sql<boolean>`shard = any (${shards}::int[])`)
      .where(sql<boolean>`created_at <= now() - ${olderThanMs}::double precision * interval '1 millisecond'`)
      .orderBy('created_at')
      .limit(limit)
      .execute()
  }
}
