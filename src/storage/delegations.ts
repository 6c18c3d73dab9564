/**
 * Delegations: one row from the moment a task is asked for until its result, which stays for a week. Each change is a
 * compare-and-set, so any number of processes may see to the same row: only one of them moves it on.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { DelegationRequest, DelegationResult } from '../protocol/federation.js'
import type { SessionType } from '../protocol/session.js'
import type { Database } from './database.js'
import type { Schema } from './schema.js'
import { queryableJson, storableText } from './text.js'

/** Not ended, of one tenant: what is open costs a watcher. */
const MAX_OPEN = 1_000
/** Where a former session of the same orchestrator is looked for: among the newest of its owner. */
const SESSIONS_LOOKED_AT = 200
/** How long whoever asks again with the same id gets the result. */
const RESULTS_KEPT = sql`interval '7 days'`
/** Ends of attempts that are kept with an orchestrator, of each kind. */
const OUTCOMES_KEPT = 20
/** Rows that one call forgets at most. */
const FORGET_BATCH = 500

export type DelegationStatus = 'pending' | 'running' | DelegationResult['status']

export interface NewDelegation {
  readonly tenant: string
  /** The subject that asked; its sessions do the work. */
  readonly owner: string
  readonly id: string
  readonly bodyHash: string
  readonly request: DelegationRequest
  /** Where in a trace it was asked for. */
  readonly traceparent?: string | undefined
}

/** A delegation as it stands. */
export interface DelegationRow {
  readonly tenant: string
  readonly id: string
  readonly owner: string
  readonly request: DelegationRequest
  readonly status: DelegationStatus
  /** Who works on it; null between attempts. */
  readonly target: string | null
  readonly sessionId: string | null
  /** Of the session in which the attempt runs. */
  readonly sessionType: SessionType | null
  /** Whether the session was there before the attempt. */
  readonly reused: boolean
  readonly attempt: number
  readonly failures: number
  /** Who tried before. */
  readonly tried: readonly string[]
  readonly cancelRequested: boolean
  readonly result: DelegationResult | null
  /** W3C context of the command that asked for it. */
  readonly traceparent: string | null
  /** Until its deadline, by the database's clock. */
  readonly leftMs: number
  /** Since it was asked for, by the database's clock. */
  readonly ageMs: number
}

export type Created = 'new' | 'existing' | 'conflict' | 'full'

/** Which delegation, and whoever changes it says what it has seen of it. */
export type DelegationKey = Pick<DelegationRow, 'tenant' | 'id'>
type Seen = DelegationKey & Pick<DelegationRow, 'attempt'>
/** `target`: whose attempt has ended; null where none was under way. */
type Ending = Seen & Pick<DelegationRow, 'target'>

const COLUMNS = sql`tenant, id, owner, request, status, target, session_id as "sessionId",
  session_type as "sessionType", reused, attempt, failures, tried,
  cancel_requested as "cancelRequested", result, traceparent,
  (extract(epoch from deadline - now()) * 1000)::float8 as "leftMs",
  (extract(epoch from now() - created_at) * 1000)::float8 as "ageMs"`

const after = (ms: number): RawBuilder<Date> => sql<Date>`now() + ${ms}::double precision * interval '1 millisecond'`

export class Delegations {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Of many calls with one id exactly one is `new`; one with another body is a `conflict`. */
  async create({ tenant, owner, id, bodyHash, request, traceparent }: NewDelegation): Promise<Created> {
    const { rows } = await sql`
      insert into federation_delegations (tenant, id, owner, body_hash, request, from_orchestrator, deadline,
        traceparent)
      select ${tenant}, ${id}, ${owner}, ${bodyHash}, ${queryableJson(JSON.stringify(request))}::json, ${request.from},
        ${after(request.timeoutMs)}, ${traceparent === undefined ? null : storableText(traceparent)}::text
      where (select count(*) from federation_delegations where tenant = ${tenant} and ended_at is null) < ${MAX_OPEN}
      on conflict (tenant, id) do nothing
      returning id`.execute(this.#database.sql)
    if (rows.length > 0) return 'new'
    const existing = await this.#database.sql
      .selectFrom('federation_delegations')
      .select(['owner', 'body_hash as bodyHash'])
      .where('tenant', '=', tenant)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!existing) return 'full'
    return existing.owner === owner && existing.bodyHash === bodyHash ? 'existing' : 'conflict'
  }

  async find({ tenant, id }: DelegationKey): Promise<DelegationRow | undefined> {
    const { rows } = await sql<DelegationRow>`
      select ${COLUMNS} from federation_delegations where tenant = ${tenant} and id = ${id}`.execute(this.#database.sql)
    return rows[0]
  }

  /** Takes charge of open delegations that nobody sees to now, those that are due longest first. */
  async claim(watcher: string, leaseMs: number, limit: number): Promise<readonly DelegationRow[]> {
    // Index federation_delegations_open.
    const { rows } = await sql<DelegationRow>`
      update federation_delegations d set watcher = ${watcher}, watched_until = ${after(leaseMs)}
      from (
        select tenant as t, id as i from federation_delegations
        where ended_at is null and (not_before <= now() or cancel_requested)
          and (watched_until is null or watched_until <= now())
        order by not_before limit ${limit} for update skip locked) due
      where d.tenant = due.t and d.id = due.i
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows
  }

  /** Prolongs the charge of some; what is missing from the answer has passed on to others, or has ended. */
  async renew(
    watcher: string,
    held: readonly DelegationKey[],
    leaseMs: number,
  ): Promise<readonly (DelegationKey & { readonly cancelRequested: boolean })[]> {
    // Index federation_delegations_pkey.
    const { rows } = await sql<DelegationKey & { cancelRequested: boolean }>`
      update federation_delegations d set watched_until = ${after(leaseMs)}
      from unnest(${held.map(({ tenant }) => tenant)}::text[], ${held.map(({ id }) => id)}::text[]) as h (t, i)
      where d.tenant = h.t and d.id = h.i and ended_at is null and watcher = ${watcher} and watched_until > now()
      returning tenant, id, cancel_requested as "cancelRequested"`.execute(this.#database.sql)
    return rows
  }

  /** Lets go of everything that `watcher` sees to, so that others may take it at once. */
  async letGo(watcher: string): Promise<void> {
    await sql`
      update federation_delegations set watcher = null, watched_until = null
      where ended_at is null and watcher = ${watcher}`.execute(this.#database.sql)
  }

  /**
   * Begins an attempt at `target`, if that has room for one more. The first attempt goes on in a session that the owner
   * has there, if no other delegation uses it; later ones, and those without one, spawn a session. Undefined: no room, or
   * somebody else was faster. A target that nobody has registered has room without end. No more than `maxOpen` are to be under way
   * there.
   */
  async assign(
    seen: DelegationRow,
    target: string,
    fallbackType: SessionType,
    maxOpen = Number.POSITIVE_INFINITY,
  ): Promise<DelegationRow | undefined> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      const at = await placeAt(transaction, seen.tenant, target)
      if (at && at.open >= Math.min(at.maxSessions, maxOpen)) return undefined
      const type = seen.request.sessionType ?? at?.sessionType ?? fallbackType
      const session = seen.attempt === 0 ? await formerSession(transaction, seen, target, type) : undefined
      const { rows } = await sql<DelegationRow>`
        update federation_delegations set status = 'running', target = ${target}, attempt = attempt + 1,
          session_id = ${session ?? null}, session_type = ${type}, reused = ${session !== undefined}
        where tenant = ${seen.tenant} and id = ${seen.id} and attempt = ${seen.attempt}
          and target is null and ended_at is null
        returning ${COLUMNS}`.execute(transaction)
      return rows[0]
    })
  }

  /** Notes the session in which an attempt runs. */
  async noteSession({ tenant, id, attempt }: Seen, sessionId: string): Promise<void> {
    await sql`
      update federation_delegations set session_id = ${sessionId}
      where tenant = ${tenant} and id = ${id} and attempt = ${attempt} and ended_at is null`.execute(this.#database.sql)
  }

  /** An attempt, or the search for a target, came to nothing: to be tried again after a pause, by anybody. */
  async postpone({ tenant, id, attempt, failures, target }: DelegationRow, pauseMs: number): Promise<void> {
    await sql`
      with postponed as (update federation_delegations set failures = failures + 1, not_before = ${after(pauseMs)},
        tried = case when target is null then tried else array_append(tried, target) end,
        target = null, session_id = null, session_type = null, reused = false, watcher = null, watched_until = null
      where tenant = ${tenant} and id = ${id} and attempt = ${attempt} and failures = ${failures}
        and ended_at is null returning id)
      ${noted(tenant, target, 'failed_at')} and exists (select from postponed)`.execute(this.#database.sql)
  }

  /** Writes how it ended, once: false when that was written before, or another attempt has begun. */
  async finish({ tenant, id, attempt, target }: Ending, result: DelegationResult): Promise<boolean> {
    const at = result.status === 'cancelled' ? null : target
    const column = result.status === 'completed' ? 'succeeded_at' : 'failed_at'
    const { rows } = await sql`
      with finished as (update federation_delegations set status = ${result.status}, ended_at = now(), watcher = null, watched_until = null,
        result = ${queryableJson(JSON.stringify(result))}::json
      where tenant = ${tenant} and id = ${id} and attempt = ${attempt} and ended_at is null
      returning id),
      noted as (${noted(tenant, at, column)} and exists (select from finished))
      select id from finished`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** Asks for the end of a delegation; its watcher sees to it. False when it has ended or does not exist. */
  async requestCancel({ tenant, id }: DelegationKey): Promise<boolean> {
    const { rows } = await sql`
      update federation_delegations set cancel_requested = true
      where tenant = ${tenant} and id = ${id} and ended_at is null returning id`.execute(this.#database.sql)
    return rows.length > 0
  }

  /** Delegations of a tenant by how they stand, those that have ended only of the last week. */
  async countByStatus(tenant: string): Promise<Readonly<Partial<Record<DelegationStatus, number>>>> {
    const { rows } = await sql<{ status: DelegationStatus; count: number }>`
      select status, count(*)::int as count from federation_delegations where tenant = ${tenant}
      group by status`.execute(this.#database.sql)
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
  }

  /** Forgets results that are older than a week. */
  async forgetOld(): Promise<void> {
    // Index federation_delegations_ended.
    await sql`
      delete from federation_delegations where (tenant, id) in (
        select tenant, id from federation_delegations
        where ended_at <= now() - ${RESULTS_KEPT} order by ended_at limit ${FORGET_BATCH})`.execute(this.#database.sql)
  }
}

/** Notes with an orchestrator how an attempt ended, in the same step; one that has gone has nothing noted. */
const noted = (tenant: string, target: string | null, column: 'succeeded_at' | 'failed_at') => sql`
  update federation_orchestrators
  set ${sql.ref(column)} = (${sql.ref(column)} || now())[greatest(1, cardinality(${sql.ref(column)}) + 2 - ${OUTCOMES_KEPT}::int):]
  where tenant = ${tenant} and id = ${target}::text`

interface TargetPlace {
  readonly maxSessions: number
  readonly sessionType: SessionType
  /** Delegations that it has. */
  readonly open: number
}

/** Whoever else gives work to this orchestrator waits until this transaction ends: two must not see the same room. */
async function placeAt(transaction: Transaction<Schema>, tenant: string, id: string): Promise<TargetPlace | undefined> {
  const locked = await sql<Omit<TargetPlace, 'open'>>`
    select max_sessions as "maxSessions", session_type as "sessionType" from federation_orchestrators
    where tenant = ${tenant} and id = ${id} for update`.execute(transaction)
  const [found] = locked.rows
  if (!found) return undefined
  // Counted after the lock is held. Index federation_delegations_by_target.
  const { rows } = await sql<{ open: number }>`
    select count(*)::int as open from federation_delegations
    where tenant = ${tenant} and target = ${id} and ended_at is null`.execute(transaction)
  return { ...found, open: rows[0]?.open ?? 0 }
}

/**
 * The newest session that the owner has with an orchestrator and that no delegation uses. Its status is as of the last
 * projection: one that has ended since refuses the task, and the next attempt spawns.
 */
async function formerSession(
  transaction: Transaction<Schema>,
  { tenant, owner }: Pick<DelegationRow, 'tenant' | 'owner'>,
  target: string,
  type: SessionType,
): Promise<string | undefined> {
  // Index sessions_by_owner.
  const { rows } = await sql<{ id: string }>`
    select s.id from (
      select id, orchestrator_id, type, status, submitted, created_at from sessions
      where tenant = ${tenant} and owner = ${owner} order by created_at desc, id desc limit ${SESSIONS_LOOKED_AT}) s
    where s.orchestrator_id = ${target} and s.type = ${type} and s.submitted and s.status in ('initializing', 'active')
      and not exists (select from federation_delegations o
        where o.tenant = ${tenant} and o.ended_at is null and o.session_id = s.id)
    order by s.created_at desc limit 1`.execute(transaction)
  return rows[0]?.id
}
