/**
 * Approvals: each is decided once, by compare-and-set, and every change of one is written into the audit log with it.
 */
import { type RawBuilder, sql } from 'kysely'
import type {
  ApprovalDecision,
  ApprovalFilter,
  ApprovalLevel,
  ApprovalOutcome,
  ApprovalState,
} from '../protocol/approvals.js'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface NewApproval {
  readonly id: string
  readonly tenant: string
  readonly sessionId: SessionId
  readonly commandId: string
  readonly callId: string
  readonly tool: string
  /** Of tool and input: an agent that was started anew asks for the same under another call id. */
  readonly requestHash: string
  /** JSON, for people to read. */
  readonly input: string
  readonly reason: string
  readonly rule: string
  readonly level: ApprovalLevel
  readonly timeoutMs: number
}

export interface Approval {
  readonly id: string
  readonly state: ApprovalState
  readonly expiresAt: Date
  readonly decidedBy: string | null
  readonly comment: string | null
}

/** An answer to an approval that was pending. */
export type Decided = Approval & { readonly state: ApprovalOutcome }

export interface Decision {
  readonly id: string
  readonly tenant: string
  readonly sessionId: SessionId
  readonly decision: ApprovalDecision
  readonly by: string
  /** Whether the one who decides may answer what is escalated. */
  readonly isAdmin: boolean
  readonly comment: string | undefined
  /** Id of the command: the same one may be sent again. */
  readonly decisionId: string
}

/** Which approvals of a tenant a list shows. */
export interface ApprovalQuery {
  readonly state: ApprovalFilter
  readonly sessionId?: SessionId | undefined
  readonly id?: string | undefined
  /** Only of sessions that this subject spawned. */
  readonly owner?: string | undefined
  readonly limit: number
  /** Only those that were asked for before this one. */
  readonly before?: string | undefined
}

/** An approval as a list shows it; one whose time is over is `expired`, whether or not somebody has noted it. */
export interface ApprovalRow {
  readonly approvalId: string
  readonly sessionId: SessionId
  readonly toolName: string
  readonly toolInput: object
  readonly reason: string
  readonly level: ApprovalLevel
  readonly state: ApprovalState
  readonly requestedAt: Date
  readonly expiresAt: Date
  readonly decidedAt: Date | null
  readonly decidedBy: string | null
  readonly comment: string | null
}

/** `closed` with the state that it has already; `forbidden` for one that an administrator must answer. */
export type DecisionResult =
  | { readonly status: 'decided' | 'missing' | 'forbidden' }
  | { readonly status: 'closed'; readonly state: ApprovalState }

const COLUMNS = sql`id, state, expires_at as "expiresAt", decided_by as "decidedBy", comment`
/** The service itself, as the one who acts. */
const SERVICE = 'service'

export class Approvals {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Asks for an approval, or finds the one that was asked for before: by the same call, or by an earlier attempt at it whose
   * request still waits. May be repeated.
   */
  async request(asked: NewApproval): Promise<Approval> {
    return (await this.#find(asked)) ?? (await this.#adopt(asked)) ?? (await this.#insert(asked))
  }

  async #find({ sessionId, commandId, callId }: NewApproval): Promise<Approval | undefined> {
    const { rows } = await sql<Approval>`
      select ${COLUMNS} from approvals
      where session_id = ${sessionId} and command_id = ${storableText(commandId)} and call_id = ${storableText(callId)}
      `.execute(this.#database.sql)
    return rows[0]
  }

  async #adopt({ sessionId, commandId, callId, requestHash }: NewApproval): Promise<Approval | undefined> {
    const { rows } = await sql<Approval>`
      update approvals set call_id = ${storableText(callId)} where id = (
        select id from approvals where session_id = ${sessionId} and command_id = ${storableText(commandId)}
          and request_hash = ${requestHash} and state = 'pending' order by requested_at limit 1)
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows[0]
  }

  async #insert(asked: NewApproval): Promise<Approval> {
    const { id, tenant, sessionId, requestHash, input, level, timeoutMs } = asked
    const [commandId, callId, tool] = [asked.commandId, asked.callId, asked.tool].map(storableText)
    const [reason, rule] = [storableText(asked.reason), storableText(asked.rule)]
    const detail = JSON.stringify({ tool, rule, level })
    const { rows } = await sql<Approval>`
      with asked as (
        insert into approvals
          (id, tenant, session_id, command_id, call_id, tool, request_hash, input, reason, rule, level, expires_at)
        values (${id}, ${tenant}, ${sessionId}, ${commandId}, ${callId}, ${tool}, ${requestHash}, ${input}::json,
          ${reason}, ${rule}, ${level}, now() + ${timeoutMs}::double precision * interval '1 millisecond')
        on conflict do nothing
        returning *
      ), noted as (
        insert into audit_log (tenant, actor, action, session_id, subject, detail)
        select tenant, ${SERVICE}, 'approval.requested', session_id, id, ${detail}::json from asked
      )
      select ${COLUMNS} from asked`.execute(this.#database.sql)
    const approval = rows[0] ?? (await this.#find(asked))
    if (!approval) throw new Error(`approval ${id} was neither made nor found`)
    return approval
  }

  /** Which of these are not pending any more; those whose time is over expire now. */
  async settled(ids: readonly string[]): Promise<readonly Decided[]> {
    if (ids.length === 0) return []
    await this.#close('expired', sql<boolean>`id = any (${ids}::text[]) and expires_at <= now()`)
    const { rows } = await sql<Decided>`
      select ${COLUMNS} from approvals where id = any (${ids}::text[]) and state <> 'pending'`.execute(
      this.#database.sql,
    )
    return rows
  }

  /** Ends what a task still waits for: nobody needs the answer any more. */
  async cancel(sessionId: SessionId, commandId: string): Promise<void> {
    const theirs = sql<boolean>`session_id = ${sessionId} and command_id = ${storableText(commandId)}`
    await this.#close('cancelled', theirs)
  }

  /** Sorted, so that all approvals are changed before the first chain of the audit log is locked, and those in one order. */
  async #close(state: 'expired' | 'cancelled', which: RawBuilder<boolean>): Promise<void> {
    await sql`
      with closed as (
        update approvals set state = ${state}, decided_at = now(), decided_by = ${SERVICE}
        where state = 'pending' and ${which} returning id, tenant, session_id, tool
      )
      insert into audit_log (tenant, actor, action, session_id, subject, detail)
      select tenant, ${SERVICE}, ${`approval.${state}`}, session_id, id, json_build_object('tool', tool)
      from closed order by tenant, id`.execute(this.#database.sql)
  }

  /** The newest first: their ids rise with time. */
  async list(
    tenant: string,
    { state, sessionId, id, owner, limit, before }: ApprovalQuery,
  ): Promise<readonly ApprovalRow[]> {
    const isOpen = sql<boolean>`(state = 'pending' and expires_at > now())`
    const conditions = [
      sql`tenant = ${tenant}`,
      ...(state === 'pending' ? [isOpen] : []),
      ...(sessionId === undefined ? [] : [sql`session_id = ${storableText(sessionId)}`]),
      ...(id === undefined ? [] : [sql`id = ${storableText(id)}`]),
      ...(before === undefined ? [] : [sql`id < ${storableText(before)}`]),
      ...(owner === undefined
        ? []
        : [
            sql`exists (select from sessions s where s.id = approvals.session_id and s.owner = ${storableText(owner)})`,
          ]),
    ]
    // Index approvals_pending, approvals_by_tenant, or the primary key.
    const { rows } = await sql<ApprovalRow>`
      select id as "approvalId", session_id as "sessionId", tool as "toolName", input as "toolInput", reason, level,
        case when state = 'pending' and not ${isOpen} then 'expired' else state end as state,
        requested_at as "requestedAt", expires_at as "expiresAt", decided_at as "decidedAt",
        decided_by as "decidedBy", comment
      from approvals where ${sql.join(conditions, sql` and `)}
      order by id desc limit ${limit}`.execute(this.#database.sql)
    return rows
  }

  /** Answers a pending approval. Of many answers exactly one counts. */
  async decide(decision: Decision): Promise<DecisionResult> {
    const { id, tenant, sessionId, by, isAdmin, decisionId } = decision
    const state = decision.decision === 'approve' ? 'approved' : 'rejected'
    const comment = decision.comment === undefined ? null : storableText(decision.comment)
    const { rows } = await sql`
      with decided as (
        update approvals set state = ${state}, decided_at = now(), decided_by = ${storableText(by)},
          comment = ${comment}, decision_id = ${storableText(decisionId)}
        where id = ${storableText(id)} and tenant = ${tenant} and session_id = ${sessionId} and state = 'pending'
          and expires_at > now() and (${isAdmin}::boolean or level = 'confirm')
        returning *
      )
      insert into audit_log (tenant, actor, action, session_id, subject, detail)
      select tenant, decided_by, ${`approval.${state}`}, session_id, id,
        json_build_object('tool', tool, 'rule', rule, 'level', level, 'comment', comment)
      from decided returning id`.execute(this.#database.sql)
    return rows.length > 0 ? { status: 'decided' } : await this.#whyNot(decision)
  }

  async #whyNot({ id, tenant, sessionId, isAdmin, decisionId }: Decision): Promise<DecisionResult> {
    const { rows } = await sql<{
      state: ApprovalState
      level: ApprovalLevel
      decisionId: string | null
      over: boolean
    }>`
      select state, level, decision_id as "decisionId", expires_at <= now() as over from approvals
      where id = ${storableText(id)} and tenant = ${tenant} and session_id = ${sessionId}`.execute(this.#database.sql)
    const [row] = rows
    if (!row) return { status: 'missing' }
    if (row.decisionId === storableText(decisionId)) return { status: 'decided' }
    if (row.state === 'pending' && !row.over && row.level === 'escalate' && !isAdmin) return { status: 'forbidden' }
    return { status: 'closed', state: row.state === 'pending' ? 'expired' : row.state }
  }
}
