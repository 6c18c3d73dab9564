/**
 * The tables behind the in-process bus: what must be there again after the process was killed. Rows carry the column
 * names of migration 0002 and travel as one JSON parameter per table, so that a group of any size costs the same few
 * statements.
 */
import { type QueryExecutorProvider, sql } from 'kysely'
import type { Database } from './database.js'

export interface BusShardRow {
  readonly shard: number
  readonly owner: string | null
  readonly epoch: number
  readonly cursor: number
}

export interface BusSessionRow {
  readonly session_id: string
  readonly shard: number
  readonly tenant: string
  status: string
  epoch: number
  seq: number
  floor: string
  projected: number
  last_commit: string
  state: string
  inbox_first: number
  control_first: number
  part: number
  part_message: string | null
  generation: number
}

export interface BusCommandRow {
  readonly session_id: string
  readonly control: boolean
  readonly position: number
  readonly body: string
}

export interface BusSeenRow {
  readonly session_id: string
  readonly command_id: string
  readonly generation: number
  readonly result: string
}

export interface BusPieceRow {
  readonly session_id: string
  readonly part: number
  readonly byte_offset: number
  /** A JSON string. */
  readonly piece: string
}

export interface BusEventRow {
  readonly session_id: string
  readonly epoch: number
  readonly seq: number
  readonly body: string
}

export interface BusTimerRow {
  readonly session_id: string
  readonly name: string
  /** Milliseconds since 1970. */
  readonly due_at: number
  readonly note: string
}

/** Without a time the timer is cleared. */
export type BusTimerChange = Omit<BusTimerRow, 'due_at'> & { readonly due_at: number | null }

/** What one group of operations changed. A session's or shard's row replaces the former one. */
export interface BusWrite {
  readonly shards: readonly BusShardRow[]
  readonly sessions: readonly BusSessionRow[]
  readonly commands: readonly BusCommandRow[]
  readonly seen: readonly BusSeenRow[]
  readonly pieces: readonly BusPieceRow[]
  readonly events: readonly BusEventRow[]
  readonly timers: readonly BusTimerChange[]
  /** Sessions whose new row makes rows of other tables invalid. */
  readonly outdated: readonly string[]
  /** Sessions whose former rows go, before any of the new rows; their events stay. */
  readonly gone: readonly string[]
}

/** Everything that is still valid, each kind in its order. `events` are those of sessions with unfinished work. */
export type BusContents = Omit<BusWrite, 'outdated' | 'gone' | 'timers'> & { readonly timers: readonly BusTimerRow[] }

/**
 * The embedded database has no vacuum of its own: without one, the dead versions of busy rows would fill the disk.
 * Often enough to keep the tables at some MB, seldom enough to be a small part of the work.
 */
const WRITES_PER_VACUUM = 5_000

export class StandaloneBus {
  #writes = 0

  constructor(private readonly database: Database) {}

  /** Reads what the last process left. Its commands that were never accepted are not among it. */
  async load(): Promise<BusContents> {
    const { sql: db } = this.database
    await vacuum(db)
    return {
      shards: await rows<BusShardRow>(db, sql`select shard, owner, epoch, cursor from bus_shards`),
      sessions: await loadSessions(db),
      commands: await rows<BusCommandRow>(db, VALID_COMMANDS),
      seen: (await rows<BusSeenRow>(db, VALID_SEEN)).map((it) => ({ ...it, command_id: fromJson(it.command_id) })),
      pieces: await rows<BusPieceRow>(db, VALID_PIECES),
      events: await rows<BusEventRow>(db, UNFINISHED_EVENTS),
      timers: await rows<BusTimerRow>(db, sql`select session_id, name, due_at, note from bus_timers`),
    }
  }

  /** Writes a group in one transaction. */
  async write(group: BusWrite): Promise<void> {
    await this.database.sql.transaction().execute(async (transaction) => {
      await deleteGone(transaction, group.gone)
      await saveShards(transaction, group.shards)
      await saveSessions(transaction, group.sessions)
      await insertCommands(transaction, group.commands)
      await insertPieces(transaction, group.pieces)
      await saveSeen(transaction, group.seen)
      await insertEvents(transaction, group.events)
      await saveTimers(transaction, group.timers)
      await deleteOutdated(transaction, group.outdated)
    })
    this.#writes += 1
    if (this.#writes % WRITES_PER_VACUUM === 0) await vacuum(this.database.sql)
  }
}

type Executor = QueryExecutorProvider
type Query<T> = ReturnType<typeof sql<T>>

async function rows<T>(db: Executor, query: Query<unknown>): Promise<T[]> {
  return (await query.execute(db)).rows as T[]
}

// A session has unfinished work when commands wait or run, or when events are not projected yet.
const UNFINISHED = sql`(s.projected < s.seq or exists (
  select from bus_commands c where c.session_id = s.session_id
    and c.position >= case when c.control then s.control_first else s.inbox_first end))`

const VALID_COMMANDS = sql`
  select c.session_id, c.control, c.position, c.body from bus_commands c join bus_sessions s using (session_id)
  where c.position >= case when c.control then s.control_first else s.inbox_first end
  order by c.session_id, c.control, c.position`

const VALID_SEEN = sql`
  select b.session_id, b.command_id, b.generation, b.result from bus_seen b join bus_sessions s using (session_id)
  where b.generation >= s.generation - 1`

const VALID_PIECES = sql`
  select p.session_id, p.part, p.byte_offset, p.piece from bus_parts p join bus_sessions s using (session_id)
  where p.part = s.part order by p.session_id, p.byte_offset`

// Primary key of events; only what lies behind the floor of each log.
const UNFINISHED_EVENTS = sql`
  select e.session_id, e.epoch, e.seq, e.body::text as body from events e join bus_sessions s using (session_id)
  where ${UNFINISHED} and e.seq > split_part(s.floor, '-', 2)::bigint and e.seq <= s.seq
  order by e.session_id, e.seq`

/** The log of a session without unfinished work is only in `events`: its floor is its head. */
function loadSessions(db: Executor): Promise<BusSessionRow[]> {
  return rows<BusSessionRow>(
    db,
    sql`select session_id, shard, tenant, status, epoch, seq,
      case when ${UNFINISHED} then floor else epoch || '-' || seq end as floor,
      projected, last_commit, state, inbox_first, control_first, part, part_message, generation
      from bus_sessions s`,
  )
}

async function saveShards(db: Executor, shards: readonly BusShardRow[]): Promise<void> {
  if (shards.length === 0) return
  await sql`
    insert into bus_shards select * from json_populate_recordset(null::bus_shards, ${json(shards)}::json)
    on conflict (shard) do update set owner = excluded.owner, epoch = excluded.epoch, cursor = excluded.cursor
  `.execute(db)
}

async function saveSessions(db: Executor, sessions: readonly BusSessionRow[]): Promise<void> {
  if (sessions.length === 0) return
  await sql`
    insert into bus_sessions select * from json_populate_recordset(null::bus_sessions, ${json(sessions)}::json)
    on conflict (session_id) do update set status = excluded.status, epoch = excluded.epoch, seq = excluded.seq,
      floor = excluded.floor, projected = excluded.projected, last_commit = excluded.last_commit,
      state = excluded.state, inbox_first = excluded.inbox_first, control_first = excluded.control_first,
      part = excluded.part, part_message = excluded.part_message, generation = excluded.generation
  `.execute(db)
}

async function insertCommands(db: Executor, commands: readonly BusCommandRow[]): Promise<void> {
  if (commands.length === 0) return
  await sql`
    insert into bus_commands select * from json_populate_recordset(null::bus_commands, ${json(commands)}::json)
  `.execute(db)
}

async function insertPieces(db: Executor, pieces: readonly BusPieceRow[]): Promise<void> {
  if (pieces.length === 0) return
  await sql`
    insert into bus_parts select * from json_populate_recordset(null::bus_parts, ${json(pieces)}::json)
  `.execute(db)
}

async function saveSeen(db: Executor, seen: readonly BusSeenRow[]): Promise<void> {
  if (seen.length === 0) return
  const stored = seen.map((it) => ({ ...it, command_id: json(it.command_id) }))
  await sql`
    insert into bus_seen select * from json_populate_recordset(null::bus_seen, ${json(stored)}::json)
    on conflict (session_id, command_id) do update set generation = excluded.generation, result = excluded.result
  `.execute(db)
}

async function insertEvents(db: Executor, events: readonly BusEventRow[]): Promise<void> {
  if (events.length === 0) return
  const stored = events.map((it) => ({ ...it, ...typeAndTime(it.body) }))
  await sql`
    insert into events (session_id, epoch, seq, type, body, at)
    select session_id, epoch, seq, type, body::json, at from json_to_recordset(${json(stored)}::json)
      as e(session_id text, epoch bigint, seq bigint, type text, body text, at timestamptz)
    on conflict do nothing
  `.execute(db)
}

async function saveTimers(db: Executor, timers: readonly BusTimerChange[]): Promise<void> {
  if (timers.length === 0) return
  const changes = sql`json_to_recordset(${json(timers)}::json) as t(session_id text, name text, due_at bigint, note text)`
  await sql`
    with cleared as (
      delete from bus_timers b using ${changes}
      where t.due_at is null and b.session_id = t.session_id and b.name = t.name
    )
    insert into bus_timers (session_id, name, due_at, note)
    select session_id, name, due_at, note from ${changes} where due_at is not null
    on conflict (session_id, name) do update set due_at = excluded.due_at, note = excluded.note
  `.execute(db)
}

async function deleteOutdated(db: Executor, sessionIds: readonly string[]): Promise<void> {
  if (sessionIds.length === 0) return
  const touched = sql`s.session_id in (select json_array_elements_text(${json(sessionIds)}::json))`
  await sql`
    with gone as (
      delete from bus_commands c using bus_sessions s where ${touched} and c.session_id = s.session_id
        and c.position < case when c.control then s.control_first else s.inbox_first end
    ), replaced as (
      delete from bus_parts p using bus_sessions s
      where ${touched} and p.session_id = s.session_id and p.part < s.part
    )
    delete from bus_seen b using bus_sessions s
    where ${touched} and b.session_id = s.session_id and b.generation < s.generation - 1
  `.execute(db)
}

async function deleteGone(db: Executor, sessionIds: readonly string[]): Promise<void> {
  if (sessionIds.length === 0) return
  const gone = sql`session_id in (select json_array_elements_text(${json(sessionIds)}::json))`
  await sql`
    with s as (delete from bus_sessions where ${gone}), c as (delete from bus_commands where ${gone}),
      p as (delete from bus_parts where ${gone})
    delete from bus_seen where ${gone}
  `.execute(db)
}

async function vacuum(db: Executor): Promise<void> {
  await sql`vacuum bus_shards, bus_sessions, bus_commands, bus_seen, bus_parts, bus_timers`.execute(db)
}

const json = (value: unknown): string => JSON.stringify(value)
const fromJson = (text: string): string => String(JSON.parse(text))

/** The columns of `events` that are taken from the body. */
function typeAndTime(body: string): { readonly type: string; readonly at: string } {
  const event = JSON.parse(body) as { readonly type: string; readonly timestamp: string }
  return { type: event.type, at: event.timestamp }
}
