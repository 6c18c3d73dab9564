/**
 * The audit log: who did what that somebody may ask about later. The database chains the rows of each tenant as they are
 * inserted (migration 0018); `audit-chain.ts` tells whether they still are what was written.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import { queryableJson, storableText } from './text.js'

/** Chain of what belongs to no tenant: refused credentials, and what operators do. No tenant can have this name. */
export const SERVICE_CHAIN = '.service'
/** Written where rows were removed after their time: what the chain goes on from. */
export const REMOVED = 'audit.removed'

export interface AuditEntry {
  readonly tenant: string
  /** The subject of a credential, or the part of the service that acted. */
  readonly actor: string
  /** Such as `tool.denied`. */
  readonly action: string
  readonly sessionId: string | undefined
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface AuditRow {
  /** Number in the tenant's chain, from 1. */
  readonly seq: number
  readonly at: Date
  readonly tenant: string
  readonly actor: string
  readonly action: string
  readonly sessionId: string | null
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
  readonly hash: string
}

export interface AuditQuery {
  /** Undefined: of all tenants, which have no common order but time. */
  readonly tenant: string | undefined
  /** The action itself, or what it begins with up to a dot: `approval` finds `approval.requested`. */
  readonly action?: string | undefined
  readonly sessionId?: string | undefined
  /** Only those before this one; for one tenant. */
  readonly before?: number | undefined
  readonly limit: number
}

export class AuditLog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add(entry: AuditEntry): Promise<void> {
    await this.addAll([entry])
  }

  /** All or none. */
  async addAll(entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return
    // Each row takes the lock of its tenant's chain: two statements that took them in another order would wait for each other.
    const ordered = entries.toSorted((a, b) => (a.tenant < b.tenant ? -1 : Number(a.tenant > b.tenant)))
    await this.#database.sql.insertInto('audit_log').values(ordered.map(valuesOf)).execute()
  }

  /** The newest first. */
  async list({ tenant, action, sessionId, before, limit }: AuditQuery): Promise<AuditRow[]> {
    const conditions = [
      ...(tenant === undefined ? [] : [sql`tenant = ${tenant}`]),
      ...(action === undefined
        ? []
        : [sql`(action = ${storableText(action)} or starts_with(action, ${`${storableText(action)}.`}))`]),
      ...(sessionId === undefined ? [] : [sql`session_id = ${storableText(sessionId)}`]),
      ...(before === undefined ? [] : [sql`seq < ${before}`]),
    ]
    const where = conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`
    // Index audit_log_chain; the primary key for all tenants.
    const order = tenant === undefined ? sql`id desc` : sql`seq desc`
    const { rows } = await sql<AuditRow>`
      select seq, at, tenant, actor, action, session_id as "sessionId", subject, detail, hash
      from audit_log ${where} order by ${order} limit ${limit}`.execute(this.#database.sql)
    return rows
  }
}

const valuesOf = ({ tenant, actor, action, sessionId, subject, detail }: AuditEntry) => ({
  ...{ tenant, actor: storableText(actor), action, session_id: sessionId ?? null },
  ...{ subject: storableText(subject), detail: queryableJson(JSON.stringify(detail)) },
})
