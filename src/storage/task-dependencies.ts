/**
 * What scheduled tasks wait for. Ends of tasks come from the projection; they are looked for, because a task may have been
 * given to its session by anybody, long before or after.
 */
import { sql, type Transaction } from 'kysely'
import type { Database } from './database.js'
import type { ScheduleKey } from './scheduled-tasks.js'
import type { Schema } from './schema.js'
import { storableText } from './text.js'

/** Dependencies looked at in one round. */
const LOOK_BATCH = 200
/** One that has waited for a minute waits for something long: it is looked at less often. */
const NEXT_LOOK = sql`case when since > now() - interval '1 minute' then interval '250 milliseconds' else interval '2 seconds' end`

/** The task of a session, or a scheduled task that may have no session yet. */
export interface Dependency {
  readonly taskId: string
  readonly sessionId: string | null
  readonly scheduleId: string | null
}

export type DependencyStatus = 'pending' | 'completed' | 'failed' | 'cancelled'

export interface Whose {
  readonly tenant: string
  /** Undefined: of anybody in the tenant. */
  readonly owner: string | undefined
}

/** A dependency whose end has been found. */
export interface Settled extends Dependency {
  readonly tenant: string
  readonly waiter: string
  readonly position: number
  readonly status: Exclude<DependencyStatus, 'pending'>
}

export class TaskDependencies {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** The scheduled task of this id that waits or was handed over last; in one session, where that is named. */
  async findScheduled(
    { tenant, owner }: Whose,
    taskId: string,
    sessionId: string | null,
    transaction: Transaction<Schema>,
  ) {
    // Index scheduled_tasks_by_task.
    const { rows } = await sql<{ id: string; sessionId: string | null; cron: string | null }>`
      select id, session_id as "sessionId", cron from scheduled_tasks
      where tenant = ${tenant} and task_id = ${storableText(taskId)} and (${owner ?? null}::text is null or owner = ${owner ?? null})
        and (${sessionId}::text is null or session_id = ${sessionId})
      order by created_at desc, id desc limit 1`.execute(transaction)
    return rows[0]
  }

  /** Whose session it is; undefined when there is none of this id. */
  async sessionOwner(sessionId: string, transaction: Transaction<Schema>) {
    const { rows } = await sql<{ tenant: string; owner: string }>`
      select tenant, owner from sessions where id = ${sessionId}`.execute(transaction)
    return rows[0]
  }

  /** Whether a session has begun, or ended, a task of this id. */
  async hasTask(sessionId: string, taskId: string, transaction: Transaction<Schema>): Promise<boolean> {
    const id = storableText(taskId)
    // Indexes tasks_pkey, unbegun_task_ends_pkey.
    const { rows } = await sql`
      select 1 where exists (select from tasks where session_id = ${sessionId} and task_id = ${id})
        or exists (select from unbegun_task_ends where session_id = ${sessionId} and task_id = ${id})
        or exists (select from scheduled_tasks s join sessions e on e.id = ${sessionId} and s.tenant = e.tenant
          where s.task_id = ${id} and s.session_id = e.id and s.status = 'waiting')`.execute(transaction)
    return rows.length > 0
  }

  async insert({ tenant, id }: ScheduleKey, dependencies: readonly Dependency[], transaction: Transaction<Schema>) {
    if (dependencies.length === 0) return
    await sql`
      insert into task_dependencies (tenant, waiter, position, task_id, session_id, schedule_id)
      select ${tenant}, ${id}, d.position, d.task_id, d.session_id, d.schedule_id
      from unnest(${dependencies.map(({ taskId }) => storableText(taskId))}::text[],
        ${dependencies.map(({ sessionId }) => sessionId)}::text[],
        ${dependencies.map(({ scheduleId }) => scheduleId)}::text[])
        with ordinality as d (task_id, session_id, schedule_id, position)`.execute(transaction)
  }

  /** Who waits for this very task of a session waits, from now on, for the scheduled task that is to become it. */
  async adopt({ tenant, id }: ScheduleKey, sessionId: string, taskId: string, transaction: Transaction<Schema>) {
    // Index task_dependencies_by_task.
    await sql`
      update task_dependencies set schedule_id = ${id}
      where tenant = ${tenant} and session_id = ${sessionId} and task_id = ${storableText(taskId)} and status = 'pending'
        and schedule_id is null`.execute(transaction)
  }

  /** The task, among those behind these scheduled tasks, that waits for the task of a session; undefined when none does. */
  async cycleThrough(
    { tenant, sessionId, taskId }: { readonly tenant: string; readonly sessionId: string; readonly taskId: string },
    scheduleIds: readonly string[],
    transaction: Transaction<Schema>,
  ): Promise<string | undefined> {
    const { rows } = await sql<{ taskId: string }>`
      with recursive behind as (
        select unnest(${scheduleIds}::text[]) as id
        union
        select d.schedule_id from behind b
        join task_dependencies d on d.tenant = ${tenant} and d.waiter = b.id and d.status = 'pending'
        where d.schedule_id is not null)
      select s.task_id as "taskId" from behind b
      join task_dependencies d on d.tenant = ${tenant} and d.waiter = b.id and d.status = 'pending'
      join scheduled_tasks s on s.tenant = ${tenant} and s.id = d.waiter
      where d.session_id = ${sessionId} and d.task_id = ${storableText(taskId)} limit 1`.execute(transaction)
    return rows[0]?.taskId
  }

  /** Of these scheduled tasks, what each still waits for. */
  async pendingOf(tenant: string, ids: readonly string[]): Promise<ReadonlyMap<string, readonly Dependency[]>> {
    if (ids.length === 0) return new Map()
    const { rows } = await sql<Dependency & { waiter: string }>`
      select waiter, task_id as "taskId", session_id as "sessionId", schedule_id as "scheduleId" from task_dependencies
      where tenant = ${tenant} and waiter = any (${ids}::text[]) and status = 'pending'
      order by waiter, position`.execute(this.#database.sql)
    const byWaiter = new Map<string, Dependency[]>()
    for (const { waiter, ...dependency } of rows) byWaiter.set(waiter, [...(byWaiter.get(waiter) ?? []), dependency])
    return byWaiter
  }

  /**
   * Looks whether what is waited for has ended, and lets go of tasks whose last dependency is completed. Those with one that
   * failed are marked to fail with `code`. Returns what it found.
   */
  async settle(code: string, explain: (dependency: Settled) => string): Promise<readonly Settled[]> {
    const found = await this.#look()
    for (const each of found) await this.#settleOne(each, code, explain(each))
    return found
  }

  async #look(): Promise<readonly Settled[]> {
    // Indexes task_dependencies_due, scheduled_tasks_pkey, tasks_pkey, unbegun_task_ends_pkey, sessions_pkey. A scheduled
    // task that still waits has not ended, whatever its session did under the same id before.
    const { rows } = await sql<Settled>`
      with due as (
        select tenant as t, waiter as w, position as p from task_dependencies
        where status = 'pending' and look_at <= now()
        order by look_at limit ${LOOK_BATCH} for update skip locked),
      looked as (
        update task_dependencies d set look_at = now() + ${NEXT_LOOK}, session_id = coalesce(d.session_id,
          (select session_id from scheduled_tasks s where s.tenant = d.tenant and s.id = d.schedule_id))
        from due
        where d.tenant = due.t and d.waiter = due.w and d.position = due.p
        returning d.tenant, d.waiter, d.position, d.task_id, d.session_id, d.schedule_id),
      placed as (
        select l.*, s.status as schedule_status, coalesce(s.session_id, l.session_id) as at_session
        from looked l left join scheduled_tasks s on s.tenant = l.tenant and s.id = l.schedule_id)
      select * from (
        select p.tenant, p.waiter, p.position, p.task_id as "taskId", p.at_session as "sessionId",
          p.schedule_id as "scheduleId",
          case when p.schedule_status = 'waiting' then 'pending'
            when p.schedule_status in ('failed', 'cancelled') then p.schedule_status
            else coalesce(nullif(t.status, 'in_progress'), case when t.status is null then u.status end,
              case when t.status is null and e.status in ('completed', 'terminated', 'failed') then 'failed' end,
              'pending') end as status
        from placed p
        left join lateral (select status from tasks where session_id = p.at_session and task_id = p.task_id
          order by turn desc limit 1) t on true
        left join unbegun_task_ends u on u.session_id = p.at_session and u.task_id = p.task_id
        left join sessions e on e.id = p.at_session) found
      where status <> 'pending'`.execute(this.#database.sql)
    return rows
  }

  /** Both changes or none, and each once. */
  async #settleOne(
    { tenant, waiter, position, sessionId, status }: Settled,
    code: string,
    error: string,
  ): Promise<void> {
    const ended = sql`
      update task_dependencies set status = ${status}, session_id = ${sessionId}
      where tenant = ${tenant} and waiter = ${waiter} and position = ${position} and status = 'pending' returning waiter`
    const moved =
      status === 'completed'
        ? sql`unmet = greatest(unmet - 1, 0)`
        : sql`unmet = 0, due_at = least(due_at, now()), end_status = 'failed', end_code = ${code}, end_error = ${storableText(error)}`
    await sql`
      with ended as (${ended})
      update scheduled_tasks s set ${moved} from ended
      where s.tenant = ${tenant} and s.id = ended.waiter and s.status = 'waiting' and s.end_status is null`.execute(
      this.#database.sql,
    )
  }
}
