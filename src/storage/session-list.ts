/**
 * Lists of a tenant's sessions: page by page, filtered, and those in which nothing happens any more.
 */
import { type RawBuilder, sql } from 'kysely'
import { ServiceError } from '../protocol/errors.js'
import type { SessionId } from '../protocol/ids.js'
import type { SessionStatus } from '../protocol/session.js'
import type { Database } from './database.js'
import type { SessionRecord, SessionSummary } from './sessions.js'
import { storableText } from './text.js'

export interface SessionPage {
  readonly sessions: SessionRecord[]
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string
}

/** What a list leaves out; without a word nothing. */
export interface SessionFilter {
  readonly statuses?: readonly SessionStatus[] | undefined
  readonly type?: string | undefined
  readonly orchestratorId?: string | undefined
  /** A part of the id, of the orchestrator's, or of the first task, in any case of letters. */
  readonly search?: string | undefined
}

export interface SessionPageRequest extends SessionFilter {
  readonly limit: number
  readonly cursor?: string | undefined
  /** Only what this subject spawned. */
  readonly owner?: string | undefined
}

/** Sessions that one page of a filtered list looks at: some ten ms, however few of them fit. */
const MAX_LOOKED_AT = 2_000
/** Of a spawn's JSON, where its task is looked into. */
const SEARCHED_CHARS = 4_000

/** Some ms of an index. */
const MAX_COUNTED = 10_000

const COLUMNS = sql`id, shard, tenant, owner, orchestrator_id as "orchestratorId", type, status, submitted, snapshot,
  created_at as "createdAt", updated_at as "updatedAt", spawn::text as spawn`

export class SessionList {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * A tenant's sessions, newest first. A filtered page may hold fewer than `limit` and have a cursor all the same: it ends
   * where it has looked at enough. Throws ServiceError `invalid_payload` when `cursor` is not one that this method returned.
   */
  async page(tenant: string, request: SessionPageRequest): Promise<SessionPage> {
    const { limit } = request
    const filter = conditions(request)
    const windowed = filter.length > 0
    // Index sessions_by_owner or sessions_by_tenant. One row more than asked for tells whether there is a next page.
    const { rows } = await sql<SessionRecord>`
      select ${COLUMNS} from (${this.#seen(tenant, request, windowed ? MAX_LOOKED_AT : limit + 1)}) s
      where true ${sql.join(filter, sql` `)}
      order by created_at desc, id desc limit ${limit + 1}`.execute(this.#database.sql)
    const sessions = rows.slice(0, limit)
    const last = rows.length > limit ? sessions.at(-1) : windowed && (await this.#lastSeen(tenant, request))
    return last ? { sessions, cursor: writeCursor(last) } : { sessions }
  }

  /** How many sessions a list has, counted up to a bound: more than that nobody pages through. */
  async count(tenant: string, { owner, statuses }: Pick<SessionPageRequest, 'owner' | 'statuses'>): Promise<number> {
    const filter = conditions({ statuses })
    // Index sessions_by_owner or sessions_by_tenant.
    const { rows } = await sql<{ n: string }>`
      select count(*) as n from (
        select 1 from sessions where tenant = ${tenant} ${ownedBy(owner)} ${sql.join(filter, sql` `)} limit ${MAX_COUNTED}
      ) s`.execute(this.#database.sql)
    return Number(rows[0]?.n ?? 0)
  }

  /** Active sessions without work in which nothing has happened for `idleMs`, the longest idle first. */
  async findIdle(tenant: string, owner: string | undefined, idleMs: number, limit: number): Promise<SessionId[]> {
    // No index on `updated_at`, which every projection would write to: a person asks, and waits for a moment.
    const { rows } = await sql<{ id: SessionId }>`
      select id from sessions s
      where tenant = ${tenant} ${ownedBy(owner)} and status = 'active'
        and updated_at <= now() - ${idleMs}::double precision * interval '1 millisecond'
        and not exists (select from tasks t where t.session_id = s.id and t.status = 'in_progress')
      order by updated_at, id limit ${limit}`.execute(this.#database.sql)
    return rows.map(({ id }) => id)
  }

  #seen(tenant: string, { cursor, owner }: SessionPageRequest, limit: number): RawBuilder<unknown> {
    const after = cursor === undefined ? undefined : readCursor(cursor)
    const behind = after ? sql`and (created_at, id) < (${after.createdAt}::timestamptz, ${after.id})` : sql``
    return sql`
      select * from sessions where tenant = ${tenant} ${ownedBy(owner)} ${behind}
      order by created_at desc, id desc limit ${limit}`
  }

  /** The last one that was looked at, where there may be more behind it. */
  async #lastSeen(tenant: string, request: SessionPageRequest): Promise<Position | undefined> {
    const { rows } = await sql<Position>`
      select created_at as "createdAt", id from (${this.#seen(tenant, request, MAX_LOOKED_AT)}) s
      order by created_at desc, id desc offset ${MAX_LOOKED_AT - 1}`.execute(this.#database.sql)
    return rows[0]
  }
}

const ownedBy = (owner: string | undefined): RawBuilder<unknown> =>
  owner === undefined ? sql`` : sql`and owner = ${storableText(owner)}`

function conditions({ statuses, type, orchestratorId, search }: SessionFilter): RawBuilder<unknown>[] {
  return [
    ...(statuses === undefined ? [] : [sql`and status = any (${statuses}::text[])`]),
    ...(type === undefined ? [] : [sql`and type = ${type}`]),
    ...(orchestratorId === undefined ? [] : [sql`and orchestrator_id = ${storableText(orchestratorId)}`]),
    ...(search === undefined
      ? []
      : [
          sql`and (${found('id', search)} or ${found('orchestrator_id', search)}
      or strpos(lower(${TASK_TEXT}), lower(${inJson(search)})) > 0)`,
        ]),
  ]
}

const found = (column: string, search: string): RawBuilder<boolean> =>
  sql<boolean>`strpos(lower(${sql.ref(column)}), lower(${storableText(search)})) > 0`

// The text of the task as it stands in the JSON: the database refuses to look into some JSON that clients may send.
const TASK_TEXT = sql<string>`substring(left(spawn::text, ${SEARCHED_CHARS}) from '"description":"((?:[^"\\\\]|\\\\.)*)')`
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

type Position = Pick<SessionSummary, 'createdAt' | 'id'>

// The time and id of the last session shown; clients pass it back unread.
const writeCursor = ({ createdAt, id }: Position): string =>
  Buffer.from(`${createdAt.toISOString()} ${id}`).toString('base64url')

const CURSOR = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([\x21-\x7e]{1,64})$/

function readCursor(cursor: string): { readonly createdAt: string; readonly id: string } {
  const [, createdAt, id] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (createdAt === undefined || id === undefined || Number.isNaN(Date.parse(createdAt))) {
    throw new ServiceError('invalid_payload', { reason: 'the cursor is not one that a list of sessions returned' })
  }
  return { createdAt, id }
}
