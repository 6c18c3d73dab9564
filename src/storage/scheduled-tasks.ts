/**
 * Tasks that wait outside of any session: one row from the moment a task is scheduled until its end, which stays for a week.
 * Each change is a compare-and-set, so any number of processes may see to the same row: only one of them moves it on. All
 * times are judged by the database's clock.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { ScheduleState } from '../protocol/schedule.js'
import type { Database } from './database.js'
import type { Schema } from './schema.js'
import { storableText } from './text.js'

/** How long an end can be looked up. */
const ENDS_KEPT = sql`interval '7 days'`
const FORGET_BATCH = 500

/** One run of a scheduled task. */
export interface Run {
  /** From 1. With the id of the schedule it names the command: handed over twice, it runs once. */
  readonly occurrence: number
  /** ISO 8601; when it was to run. */
  readonly scheduledFor: string
  /** Occurrences before this one that nobody was there for. */
  readonly missed: number
}

export interface Repetition {
  readonly cron: string
  readonly timezone: string
  readonly maxRuns: number | null
  readonly until: Date | null
}

export interface NewScheduledTask {
  readonly tenant: string
  readonly id: string
  /** The subject that scheduled it; its sessions do the work. */
  readonly owner: string
  /** The same key is the same scheduled task. */
  readonly idemKey: string | undefined
  readonly bodyHash: string
  /** Null for one whose every run spawns a session. */
  readonly sessionId: string | null
  readonly taskId: string
  /** JSON without what a database cannot look into. */
  readonly request: string
  /** Place of its priority, 0 first. */
  readonly rank: number
  readonly repetition: Repetition | null
  readonly dueAt: Date
  /** Where in a trace it was asked for. */
  readonly traceparent?: string | undefined
}

/** A scheduled task as it stands. */
export interface ScheduledRow {
  readonly tenant: string
  readonly id: string
  readonly owner: string
  readonly sessionId: string | null
  readonly isSpawn: boolean
  readonly taskId: string
  readonly request: unknown
  readonly rank: number
  readonly cron: string | null
  readonly timezone: string | null
  readonly maxRuns: number | null
  readonly until: Date | null
  readonly dueAt: Date
  readonly unmet: number
  readonly runs: number
  readonly missed: number
  readonly run: Run | null
  readonly status: ScheduleState
  readonly cancelRequested: boolean
  readonly endStatus: 'failed' | 'cancelled' | null
  readonly endCode: string | null
  readonly endError: string | null
  readonly failures: number
  readonly createdAt: Date
  readonly endedAt: Date | null
  /** W3C context of the command that asked for it. */
  readonly traceparent: string | null
  /** Of the database, when the row was read. */
  readonly now: Date
}

/** A row with its place among those of its owner that wait; 0 for others. */
export type ListedRow = ScheduledRow & { readonly position: number }

export type ScheduleKey = Pick<ScheduledRow, 'tenant' | 'id'>
/** Whoever moves a row on holds it. */
type Held = ScheduleKey & { readonly watcher: string }

/** What became of a run that was handed over. */
export interface HandedOver {
  readonly sessionId: string
  /** When the next run is due; null when this was the last. */
  readonly nextAt: Date | null
}

export interface ListQuery {
  readonly tenant: string
  /** Undefined: of everybody in the tenant. */
  readonly owner: string | undefined
  readonly id?: string | undefined
  readonly sessionId?: string | undefined
  readonly state: 'waiting' | 'over' | 'all'
  readonly limit: number
  /** Only those with greater ids: ids rise with time. */
  readonly after?: string | undefined
}

const COLUMNS = sql`tenant, id, owner, session_id as "sessionId", is_spawn as "isSpawn", task_id as "taskId", request,
  rank, cron, timezone, max_runs as "maxRuns", until, due_at as "dueAt", unmet, runs, missed, run, status,
  cancel_requested as "cancelRequested", end_status as "endStatus", end_code as "endCode", end_error as "endError",
  failures, created_at as "createdAt", ended_at as "endedAt", traceparent, now() as now`

const after = (ms: number): RawBuilder<Date> => sql<Date>`now() + ${ms}::double precision * interval '1 millisecond'`

export class ScheduledTasks {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Runs `work` as one step; nobody else adds tasks to the tenant meanwhile. */
  inTurn<T>(tenant: string, work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      await sql`select pg_advisory_xact_lock(hashtext(${`schedule ${tenant}`}))`.execute(transaction)
      return await work(transaction)
    })
  }

  async now(): Promise<Date> {
    const { rows } = await sql<{ now: Date }>`select now() as now`.execute(this.#database.sql)
    return rows[0]?.now ?? new Date()
  }

  /** The one that was scheduled under this key before. */
  async findByKey(
    { tenant, owner, idemKey }: Pick<NewScheduledTask, 'tenant' | 'owner' | 'idemKey'>,
    transaction: Transaction<Schema>,
  ): Promise<(ScheduledRow & { readonly bodyHash: string }) | undefined> {
    // Index scheduled_tasks_once.
    const { rows } = await sql<ScheduledRow & { bodyHash: string }>`
      select ${COLUMNS}, body_hash as "bodyHash" from scheduled_tasks
      where tenant = ${tenant} and owner = ${owner} and idem_key = ${storableOrNull(idemKey)}`.execute(transaction)
    return rows[0]
  }

  async countWaiting(tenant: string, transaction: Transaction<Schema>): Promise<number> {
    // Index scheduled_tasks_waiting.
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from scheduled_tasks where tenant = ${tenant} and status = 'waiting'`.execute(
      transaction,
    )
    return rows[0]?.count ?? 0
  }

  async insert(task: NewScheduledTask, unmet: number, transaction: Transaction<Schema>): Promise<ScheduledRow> {
    const { tenant, id, owner, idemKey, bodyHash, sessionId, taskId, request, rank, repetition, dueAt, traceparent } =
      task
    const { rows } = await sql<ScheduledRow>`
      insert into scheduled_tasks (tenant, id, owner, idem_key, body_hash, session_id, is_spawn, task_id, request, rank,
        cron, timezone, max_runs, until, due_at, unmet, traceparent)
      values (${tenant}, ${id}, ${owner}, ${storableOrNull(idemKey)}, ${bodyHash}, ${sessionId}, ${sessionId === null},
        ${storableText(taskId)}, ${request}::json, ${rank}, ${repetition?.cron ?? null}, ${repetition?.timezone ?? null},
        ${repetition?.maxRuns ?? null}, ${repetition?.until ?? null}, ${dueAt}, ${unmet}, ${storableOrNull(traceparent)})
      returning ${COLUMNS}`.execute(transaction)
    const [row] = rows
    if (!row) throw new Error('a scheduled task was not stored')
    return row
  }

  async find({ tenant, id }: ScheduleKey): Promise<ScheduledRow | undefined> {
    const { rows } = await sql<ScheduledRow>`
      select ${COLUMNS} from scheduled_tasks where tenant = ${tenant} and id = ${id}`.execute(this.#database.sql)
    return rows[0]
  }

  /** By id, so by time; with each its place among those that wait. */
  async list({ tenant, owner, id, sessionId, state, limit, after: last }: ListQuery): Promise<readonly ListedRow[]> {
    // Indexes scheduled_tasks_waiting and scheduled_tasks_pkey. A tenant has a bounded number that waits.
    const { rows } = await sql<ListedRow>`
      with waiting as (
        select id, row_number() over (order by (unmet > 0 or due_at > now()), greatest(due_at, now()), rank, id)::int as position
        from scheduled_tasks
        where tenant = ${tenant} and status = 'waiting' and (${owner ?? null}::text is null or owner = ${owner ?? null}))
      select ${COLUMNS}, coalesce(w.position, 0) as position
      from scheduled_tasks s left join waiting w using (id)
      where s.tenant = ${tenant} and (${owner ?? null}::text is null or s.owner = ${owner ?? null})
        and (${id ?? null}::text is null or s.id = ${id ?? null})
        and (${sessionId ?? null}::text is null or s.session_id = ${sessionId ?? null})
        and (${state} = 'all' or (s.status = 'waiting') = (${state} = 'waiting'))
        and s.id > ${last ?? ''}
      order by s.id limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** Takes charge of tasks that are due and that nobody sees to, urgent ones first. */
  async claim(watcher: string, leaseMs: number, limit: number): Promise<readonly ScheduledRow[]> {
    // Index scheduled_tasks_due.
    const { rows } = await sql<ScheduledRow>`
      update scheduled_tasks d set watcher = ${watcher}, watched_until = ${after(leaseMs)}
      from (
        select tenant as t, id as i from scheduled_tasks
        where status = 'waiting' and unmet = 0 and due_at <= now() and (watched_until is null or watched_until <= now())
        order by rank, due_at limit ${limit} for update skip locked) due
      where d.tenant = due.t and d.id = due.i
      returning ${COLUMNS}`.execute(this.#database.sql)
    return [...rows].sort((one, other) => one.rank - other.rank || one.dueAt.getTime() - other.dueAt.getTime())
  }

  /** Writes down the run that begins, once: what is handed over says the same each time. Undefined: it may not begin. */
  async begin({ tenant, id, watcher }: Held, run: Run): Promise<ScheduledRow | undefined> {
    const { rows } = await sql<ScheduledRow>`
      update scheduled_tasks set run = ${JSON.stringify(run)}::json
      where tenant = ${tenant} and id = ${id} and watcher = ${watcher} and status = 'waiting' and run is null
        and end_status is null
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows[0]
  }

  /** A run was handed over: the task waits for the next one, or leaves. Undefined when that was written before. */
  async handedOver({ tenant, id }: ScheduleKey, run: Run, { sessionId, nextAt }: HandedOver) {
    const { rows } = await sql<ScheduledRow>`
      update scheduled_tasks set runs = runs + 1, missed = missed + ${run.missed}, session_id = ${sessionId}, run = null,
        failures = 0, watcher = null, watched_until = null, due_at = coalesce(${nextAt}, due_at),
        status = case when cancel_requested then 'cancelled' when ${nextAt}::timestamptz is not null then 'waiting'
          when cron is null then 'released' else 'finished' end,
        ended_at = case when cancel_requested or ${nextAt}::timestamptz is null then now() end
      where tenant = ${tenant} and id = ${id} and status = 'waiting' and runs = ${run.occurrence - 1} and run is not null
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows[0]
  }

  /** It could not be handed over now: to be tried again after a pause, by anybody. */
  async postpone({ tenant, id, watcher }: Held, pauseMs: number): Promise<void> {
    await sql`
      update scheduled_tasks set failures = failures + 1, watcher = null, watched_until = ${after(pauseMs)}
      where tenant = ${tenant} and id = ${id} and watcher = ${watcher} and status = 'waiting'`.execute(
      this.#database.sql,
    )
  }

  /** Writes how it ended, once. */
  async end({ tenant, id }: ScheduleKey, status: 'failed' | 'cancelled', code: string | null, error: string | null) {
    await sql`
      update scheduled_tasks set status = ${status}, end_code = ${code}, end_error = ${error && storableText(error)},
        ended_at = now(), run = null, watcher = null, watched_until = null
      where tenant = ${tenant} and id = ${id} and status = 'waiting'`.execute(this.#database.sql)
  }

  /**
   * Asks for the end of tasks that wait: of one schedule, or of all that would run one task of a session. A run that is being
   * handed over is stopped behind that. Returns them.
   */
  async requestCancel(which: {
    readonly tenant: string
    readonly owner: string | undefined
    readonly id?: string
    readonly sessionId?: string
    readonly taskId?: string
  }): Promise<readonly ScheduledRow[]> {
    const { tenant, owner, id, sessionId, taskId } = which
    const { rows } = await sql<ScheduledRow>`
      update scheduled_tasks set cancel_requested = true, unmet = 0, due_at = least(due_at, now()),
        end_status = case when run is null then 'cancelled' else end_status end
      where tenant = ${tenant} and status = 'waiting' and (${owner ?? null}::text is null or owner = ${owner ?? null})
        and (${id ?? null}::text is null or id = ${id ?? null})
        and (${sessionId ?? null}::text is null or (session_id = ${sessionId ?? null} and not is_spawn))
        and (${storableOrNull(taskId)}::text is null or task_id = ${storableOrNull(taskId)})
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows
  }

  /** Lets go of everything that `watcher` sees to, so that others may take it at once. */
  async letGo(watcher: string): Promise<void> {
    await sql`
      update scheduled_tasks set watcher = null, watched_until = null
      where status = 'waiting' and watcher = ${watcher}`.execute(this.#database.sql)
  }

  /** Forgets ends that are older than a week. */
  async forgetOld(): Promise<void> {
    // Index scheduled_tasks_ended.
    await sql`
      delete from scheduled_tasks where (tenant, id) in (
        select tenant, id from scheduled_tasks
        where ended_at <= now() - ${ENDS_KEPT} order by ended_at limit ${FORGET_BATCH})`.execute(this.#database.sql)
  }
}

const storableOrNull = (text: string | undefined): string | null => (text === undefined ? null : storableText(text))
