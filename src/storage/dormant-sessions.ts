/**
 * Sessions at rest: which ones may leave Redis, what is kept of them, and what is known of one that Redis does not hold.
 */
import { sql } from 'kysely'
import { parseEventId, type SessionId } from '../protocol/ids.js'
import { isTerminal, type SessionStatus } from '../protocol/session.js'
import type { Database } from './database.js'

/** A command id and the event that ended the command; '' when none did. */
export type SeenCommand = readonly [commandId: string, result: string]

/** A session at rest, whole: its events are in `events`, nothing waits, nothing is streamed and nobody watches. */
export interface DormantSession {
  readonly sessionId: SessionId
  readonly tenant: string
  readonly status: SessionStatus
  /** Id of the last event. */
  readonly head: string
  /** Id of the last commit, so that one that is sent again changes nothing. */
  readonly commit: string
  /** JSON of the session's small state. */
  readonly state: string
  /** Commands accepted so far. */
  readonly accepted: number
  /** Remembered command ids, the younger generation. */
  readonly seen: readonly SeenCommand[]
  readonly seenBefore: readonly SeenCommand[]
}

/** How long nothing must have been heard of a session. */
export interface RestTimes {
  readonly idleMs: number
  /** For one that is over. */
  readonly endedMs: number
}

export interface RestingSession {
  readonly sessionId: SessionId
  readonly shard: number
}

/**
 * What is known of a session that Redis does not hold: `hibernated` it may come back · `ended` it is over · `unborn` reserved,
 * and its spawn was never accepted · `lost` it was there, and what is kept of it is not its last state · `unknown`.
 */
export type Whereabouts =
  | { readonly kind: 'hibernated'; readonly session: DormantSession }
  | { readonly kind: 'ended'; readonly status: SessionStatus; readonly seen: readonly SeenCommand[] }
  | { readonly kind: 'unborn' | 'lost' | 'unknown' }

interface Found {
  readonly status: SessionStatus
  /** Whether a worker has begun it. */
  readonly begun: boolean
  /** JSON of what is kept, when it is the session's last state. */
  readonly record: string | null
  readonly has_events: boolean
}

const isResting = ({ idleMs, endedMs }: RestTimes) => sql<boolean>`
  awake and snapshot is not null and updated_at <= now() - interval '1 millisecond' *
    case when status in ('completed', 'terminated', 'failed') then ${endedMs}::float8 else ${idleMs}::float8 end`

export class DormantSessions {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Sessions of `shards` that may be at rest, in the order of shard and id, behind `after`. */
  async findResting(
    shards: readonly number[],
    times: RestTimes,
    after: RestingSession | undefined,
    limit: number,
  ): Promise<readonly RestingSession[]> {
    const { shard, sessionId } = after ?? { shard: -1, sessionId: '' }
    // Index sessions_awake.
    const { rows } = await sql<RestingSession>`
      select id as "sessionId", shard from sessions
      where ${isResting(times)} and shard = any (${shards}::int[]) and (shard, id) > (${shard}::int, ${sessionId})
      order by shard, id limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** Keeps sessions as an owner has read them under the epoch of its claim. What a later owner has kept stays. */
  async keep(sessions: readonly { readonly epoch: number; readonly session: DormantSession }[]): Promise<void> {
    if (sessions.length === 0) return
    const rows = sessions.map(({ epoch, session }) => ({
      ...{ session_id: session.sessionId, claim_epoch: epoch, accepted: session.accepted, status: session.status },
      ...parseEventId(session.head),
      record: JSON.stringify(session),
    }))
    await sql`
      insert into dormant_sessions as d (session_id, claim_epoch, epoch, seq, accepted, status, record)
      select session_id, claim_epoch, epoch, seq, accepted, status, record::json
      from json_to_recordset(${JSON.stringify(rows)}::json)
        as r (session_id text, claim_epoch bigint, epoch bigint, seq bigint, accepted bigint, status text, record text)
      on conflict (session_id) do update set
        claim_epoch = excluded.claim_epoch, epoch = excluded.epoch, seq = excluded.seq, accepted = excluded.accepted,
        status = excluded.status, record = excluded.record
      where (d.claim_epoch, d.epoch, d.seq, d.accepted)
        <= (excluded.claim_epoch, excluded.epoch, excluded.seq, excluded.accepted)`.execute(this.#database.sql)
  }

  /** Notes that Redis does not hold these sessions, unless something was heard of them since they were found. */
  async markAsleep(ids: readonly SessionId[], times: RestTimes): Promise<void> {
    if (ids.length === 0) return
    await sql`update sessions set awake = false where id = any (${ids}::text[]) and ${isResting(times)}`.execute(
      this.#database.sql,
    )
  }

  /** What is known of a session that Redis does not hold. One that may come back counts as awake from here on. */
  async find(id: SessionId): Promise<Whereabouts> {
    // Indexes sessions_pkey, dormant_sessions_pkey, events_pkey.
    const { rows } = await sql<Found>`
      select s.status, s.snapshot is not null as begun, d.record::text as record,
        exists (select from events e where e.session_id = s.id) as has_events
      from sessions s left join dormant_sessions d on d.session_id = s.id and not exists (
        select from events e where e.session_id = s.id and (e.epoch, e.seq) > (d.epoch, d.seq))
      where s.id = ${id}`.execute(this.#database.sql)
    const [found] = rows
    if (!found) return { kind: 'unknown' }
    const session = found.record === null ? undefined : (JSON.parse(found.record) as DormantSession)
    const status = session?.status ?? found.status
    if (isTerminal(status)) return { kind: 'ended', status, seen: session ? allSeen(session) : [] }
    if (!session) return { kind: found.begun || found.has_events ? 'lost' : 'unborn' }
    await sql`update sessions set awake = true, updated_at = now() where id = ${id}`.execute(this.#database.sql)
    return { kind: 'hibernated', session }
  }
}

const allSeen = ({ seen, seenBefore }: DormantSession): readonly SeenCommand[] => [...seen, ...seenBefore]
