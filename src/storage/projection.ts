/**
 * Takes events and session snapshots from Redis into Postgres: many shards in one transaction, each as long as nobody
 * with a higher epoch has taken it over. Sending a batch again changes nothing.
 */
import { strict as assert } from 'node:assert'
import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { EventId } from '../protocol/ids.js'
import type { Session, SessionStatus } from '../protocol/session.js'
import type { Database } from './database.js'
import { isRemembered, storeMemories } from './memory-events.js'
import type { Schema } from './schema.js'
import {
  continuedSessions,
  deriveRows,
  derives,
  type OpenTurn,
  type ProjectedEvent,
  type StepRow,
  type TaskEnd,
  type TaskRow,
  type UnbegunEnd,
} from './step-rows.js'
import { queryableJson } from './text.js'

export type { ProjectedEvent } from './step-rows.js'

export interface ProjectedSession {
  readonly id: string
  readonly status: SessionStatus
  readonly snapshot: Session
}

export interface ProjectionBatch {
  readonly shard: number
  /** Of the worker that projects; events may carry the older epochs of former owners. */
  readonly epoch: number
  /** Those of one session in log order. */
  readonly events: readonly ProjectedEvent[]
  readonly sessions: readonly ProjectedSession[]
}

export class Projection {
  readonly #database: Database
  readonly #episodicDays: number

  /** `episodicDays` is how long memory keeps what happens in sessions; with 0 it keeps nothing of it. */
  constructor(database: Database, episodicDays = 0) {
    this.#database = database
    this.#episodicDays = episodicDays
  }

  /**
   * Stores `batches`, at most one for each shard, all of them or none. Shards that a higher epoch has projected before
   * are left out and named in `fenced`.
   */
  async project(batches: readonly ProjectionBatch[]): Promise<{ readonly fenced: number[] }> {
    assert.equal(new Set(batches.map(({ shard }) => shard)).size, batches.length, 'one batch for each shard')
    if (batches.length === 0) return { fenced: [] }
    return this.#database.sql.transaction().execute(async (transaction) => {
      const advanced = await advance(transaction, batches)
      const taken = batches.filter(({ shard }) => advanced.has(shard))
      const events = taken.flatMap((batch) => batch.events)
      await insertEvents(transaction, events)
      const derivedTo = await storeDerived(transaction, events, this.#episodicDays)
      await updateSessions(
        transaction,
        taken.flatMap((batch) => batch.sessions),
        derivedTo,
      )
      return { fenced: batches.map(({ shard }) => shard).filter((shard) => !advanced.has(shard)) }
    })
  }
}

/** Moves the shards on that are still ours. In shard order, so that two owners cannot wait for each other in a ring. */
async function advance(transaction: Transaction<Schema>, batches: readonly ProjectionBatch[]): Promise<Set<number>> {
  const { rows } = await sql<{ shard: number }>`
    insert into shard_projection as p (shard, epoch, pos)
    select * from unnest(${batches.map(({ shard }) => shard)}::int[], ${batches.map(({ epoch }) => epoch)}::bigint[],
                         ${batches.map(({ events }) => events.length)}::bigint[]) as b (shard, epoch, pos)
    order by shard
    on conflict (shard) do update set epoch = excluded.epoch, pos = p.pos + excluded.pos where p.epoch <= excluded.epoch
    returning shard`.execute(transaction)
  return new Set(rows.map(({ shard }) => shard))
}

async function insertEvents(transaction: Transaction<Schema>, events: readonly ProjectedEvent[]): Promise<void> {
  if (events.length === 0) return
  await sql`
    insert into events (session_id, epoch, seq, type, at, body)
    select session_id, epoch, seq, type, at, body::json
    from unnest(${column(events, ({ sessionId }) => sessionId)}, ${integers(events, ({ epoch }) => epoch)},
                ${integers(events, ({ seq }) => seq)}, ${column(events, ({ type }) => type)},
                ${times(events, ({ at }) => at)}, ${documents(events, ({ body }) => body)})
      as e (session_id, epoch, seq, type, at, body)
    on conflict do nothing`.execute(transaction)
}

/** Stores tasks, steps and memories; returns how far each session is derived now, where that has changed. */
async function storeDerived(
  transaction: Transaction<Schema>,
  events: readonly ProjectedEvent[],
  episodicDays: number,
): Promise<ReadonlyMap<string, EventId>> {
  const deriving = events.filter(({ type }) => derives(type))
  if (deriving.length === 0) return new Map()
  const before = await derivedBefore(transaction, deriving)
  const { fresh, derivedTo } = notDerivedYet(deriving, before)
  const { started, ended, unbegun, steps } = deriveRows(fresh, await openTurns(transaction, continuedSessions(fresh)))
  if (started.length > 0) await insertTasks(transaction, started)
  if (ended.length > 0) await endTasks(transaction, ended)
  if (unbegun.length > 0) await noteUnbegun(transaction, unbegun)
  if (steps.length > 0) await putSteps(transaction, steps)
  const remembered = fresh.filter(({ type, sessionId }) => isRemembered(type) && before.get(sessionId)?.remembers)
  await storeMemories(transaction, remembered, episodicDays)
  return derivedTo
}

async function derivedBefore(
  transaction: Transaction<Schema>,
  events: readonly ProjectedEvent[],
): Promise<ReadonlyMap<string, EventId & { readonly remembers: boolean }>> {
  const ids = [...new Set(events.map(({ sessionId }) => sessionId))]
  // Index sessions_pkey. A load tool does not remember.
  const { rows } = await sql<EventId & { id: string; remembers: boolean }>`
    select id, derived_epoch as epoch, derived_seq as seq, type <> 'echo' as remembers from sessions
    where id = any (${column(ids, (id) => id)})`.execute(transaction)
  return new Map(rows.map((row) => [row.id, row]))
}

function notDerivedYet(events: readonly ProjectedEvent[], before: ReadonlyMap<string, EventId>) {
  const reached = new Map<string, EventId>(before)
  const derivedTo = new Map<string, EventId>()
  const fresh = events.filter((event) => {
    if (!isAfter(event, reached.get(event.sessionId))) return false
    reached.set(event.sessionId, event)
    derivedTo.set(event.sessionId, event)
    return true
  })
  return { fresh, derivedTo }
}

const isAfter = ({ epoch, seq }: EventId, last: EventId | undefined): boolean =>
  last === undefined || epoch > last.epoch || (epoch === last.epoch && seq > last.seq)

/** The last turn of each session, where it had one. */
async function openTurns(
  transaction: Transaction<Schema>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, OpenTurn>> {
  if (sessionIds.length === 0) return new Map()
  // Indexes tasks_pkey and steps_pkey.
  const { rows } = await sql<OpenTurn & { sessionId: string }>`
    select t.session_id as "sessionId", t.turn, t.task_id as "taskId",
      (select coalesce(max(step), 0) from steps s where s.session_id = t.session_id and s.turn = t.turn) as steps
    from unnest(${sessionIds}::text[]) as i (id)
    cross join lateral (select * from tasks where session_id = i.id order by turn desc limit 1) t`.execute(transaction)
  return new Map(rows.map((row) => [row.sessionId, row]))
}

async function insertTasks(transaction: Transaction<Schema>, tasks: readonly TaskRow[]): Promise<void> {
  await sql`
    insert into tasks (session_id, turn, task_id, body, started_at, status, error,
                       prompt_tokens, completion_tokens, cost, ended_at)
    select session_id, turn, task_id, body::json, started_at, status, error,
           prompt_tokens, completion_tokens, cost, ended_at
    from unnest(${endColumns(tasks)}, ${texts(tasks, ({ taskId }) => taskId)}, ${documents(tasks, ({ body }) => body)},
                ${times(tasks, ({ startedAt }) => startedAt)})
      as t (${END_NAMES}, task_id, body, started_at)
    on conflict (session_id, turn) do update set
      task_id = excluded.task_id, body = excluded.body, status = excluded.status, error = excluded.error,
      prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens, cost = excluded.cost,
      ended_at = excluded.ended_at`.execute(transaction)
}

async function endTasks(transaction: Transaction<Schema>, ends: readonly TaskEnd[]): Promise<void> {
  await sql`
    update tasks t set
      status = e.status, error = e.error, prompt_tokens = e.prompt_tokens, completion_tokens = e.completion_tokens,
      cost = e.cost, ended_at = e.ended_at
    from unnest(${endColumns(ends)}) as e (${END_NAMES})
    where t.session_id = e.session_id and t.turn = e.turn`.execute(transaction)
}

async function noteUnbegun(transaction: Transaction<Schema>, ends: readonly UnbegunEnd[]): Promise<void> {
  await sql`
    insert into unbegun_task_ends (session_id, task_id, status, at)
    select * from unnest(${column(ends, ({ sessionId }) => sessionId)}, ${texts(ends, ({ taskId }) => taskId)},
                         ${texts(ends, ({ status }) => status)}, ${times(ends, ({ at }) => at)})
    on conflict (session_id, task_id) do update set status = excluded.status, at = excluded.at`.execute(transaction)
}

const END_NAMES = sql`session_id, turn, status, error, prompt_tokens, completion_tokens, cost, ended_at`

const endColumns = (ends: readonly TaskEnd[]): RawBuilder<unknown> => sql`
  ${column(ends, ({ sessionId }) => sessionId)}, ${column(ends, ({ turn }) => turn)}::int[],
  ${column(ends, ({ status }) => status)}, ${texts(ends, ({ error }) => error)},
  ${column(ends, ({ promptTokens }) => promptTokens)}::int[], ${column(ends, (it) => it.completionTokens)}::int[],
  ${column(ends, ({ cost }) => cost)}::float8[], ${times(ends, ({ endedAt }) => endedAt)}`

async function putSteps(transaction: Transaction<Schema>, steps: readonly StepRow[]): Promise<void> {
  await sql`
    insert into steps as s (session_id, turn, step, kind, ref, model, effect, attempt, status, tokens, cost, started_at, ended_at)
    select * from unnest(
      ${texts(steps, ({ sessionId }) => sessionId)}, ${steps.map(({ turn }) => turn)}::int[],
      ${steps.map(({ step }) => step)}::int[], ${texts(steps, ({ kind }) => kind)}, ${texts(steps, ({ ref }) => ref)},
      ${texts(steps, ({ model }) => model)},
      ${texts(steps, ({ effect }) => effect)}, ${steps.map(({ attempts }) => attempts)}::int[],
      ${texts(steps, ({ status }) => status)}, ${steps.map(({ tokens }) => tokens)}::int[],
      ${steps.map(({ cost }) => cost)}::float8[], ${times(steps, ({ startedAt }) => startedAt)},
      ${times(steps, ({ endedAt }) => endedAt)})
    on conflict (session_id, turn, ref) do update set
      model = coalesce(nullif(excluded.model, ''), s.model), effect = coalesce(excluded.effect, s.effect), attempt = s.attempt + excluded.attempt, status = excluded.status,
      tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost, ended_at = excluded.ended_at
  `.execute(transaction)
}

/** Whoever has events or a snapshot has reached a worker, so its spawn counts as submitted, and Redis may hold it. */
async function updateSessions(
  transaction: Transaction<Schema>,
  sessions: readonly ProjectedSession[],
  derivedTo: ReadonlyMap<string, EventId>,
): Promise<void> {
  const last = new Map(sessions.map((session) => [session.id, session]))
  const ids = [...new Set([...last.keys(), ...derivedTo.keys()])]
  if (ids.length === 0) return
  await sql`
    update sessions s set
      status = coalesce(n.status, s.status), snapshot = coalesce(n.snapshot::json, s.snapshot), submitted = true,
      awake = true,
      derived_epoch = coalesce(n.epoch, s.derived_epoch), derived_seq = coalesce(n.seq, s.derived_seq),
      updated_at = now()
    from unnest(${column(ids, (id) => id)}, ${column(ids, (id) => last.get(id)?.status ?? null)},
                ${documents(ids, (id) => snapshotText(last.get(id)))},
                ${integers(ids, (id) => derivedTo.get(id)?.epoch ?? null)},
                ${integers(ids, (id) => derivedTo.get(id)?.seq ?? null)}) as n (id, status, snapshot, epoch, seq)
    where s.id = n.id`.execute(transaction)
}

const snapshotText = (session: ProjectedSession | undefined): string | null =>
  session === undefined ? null : queryableJson(JSON.stringify(session.snapshot))

// One parameter for each column instead of one for each value: a batch of any size is the same statement. An array would
// have each of its elements quoted here and parsed there; joined text costs a third of that, where nothing in it can be
// the separator.
const SEPARATOR = '\u001f'
const NULL = '\u001e'

/** Values that hold no control characters: ids that we made, names of types, times, numbers. */
const column = <T>(rows: readonly T[], of: (row: T) => string | number | null): RawBuilder<unknown> =>
  sql`string_to_array(${rows.map((row) => of(row) ?? NULL).join(SEPARATOR)}, ${SEPARATOR}, ${NULL})`
const integers = <T>(rows: readonly T[], of: (row: T) => number | null): RawBuilder<unknown> =>
  sql`${column(rows, of)}::bigint[]`
const times = <T>(rows: readonly T[], of: (row: T) => string | null): RawBuilder<unknown> =>
  sql`${column(rows, of)}::timestamptz[]`
/** JSON, which cannot hold a control character unescaped. */
const documents = <T>(rows: readonly T[], of: (row: T) => string | null): RawBuilder<unknown> => column(rows, of)
/** Text from outside, which may hold anything. */
const texts = <T>(rows: readonly T[], of: (row: T) => string | null): RawBuilder<unknown> =>
  sql`${rows.map(of)}::text[]`
