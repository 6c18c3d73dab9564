/**
 * Model calls and what they used, one row each.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface LedgerRow {
  /** `session:turn:step:attempt`. */
  readonly stepId: string
  readonly at: Date
  readonly tenant: string
  readonly orchestratorId: string
  readonly sessionId: string
  readonly model: string
  readonly tools: readonly string[]
  readonly promptTokens: number
  /** Of the prompt's tokens. */
  readonly cachedTokens: number
  readonly completionTokens: number
  /** In US dollars. */
  readonly cost: number
}

/** Calls of a tenant, of one of its orchestrators, or of a session; from `start` up to, not including, `end`. */
export interface LedgerSpan {
  readonly tenant: string
  readonly scope: 'session' | 'orchestrator' | 'tenant'
  readonly id: string
  readonly start: Date
  /** Undefined: no end. */
  readonly end: Date | undefined
}

export class BudgetLedger {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** May be repeated: a step that is there already is left as it stands. */
  async add(rows: readonly LedgerRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.#database.sql
      .insertInto('budget_ledger')
      .values(rows.map(valuesOf))
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  /** Tokens of all calls in a span. */
  async sum({ tenant, scope, id, start, end }: LedgerSpan): Promise<number> {
    // Indexes budget_ledger_by_tenant, budget_ledger_by_orchestrator, budget_ledger_by_session.
    let query = this.#database.sql
      .selectFrom('budget_ledger')
      .select(sql<number>`coalesce(sum(tokens), 0)::float8`.as('tokens'))
      .where('tenant', '=', tenant)
      .where('at', '>=', start)
    if (end) query = query.where('at', '<', end)
    if (scope === 'orchestrator') query = query.where('orchestrator_id', '=', storableText(id))
    if (scope === 'session') query = query.where('session_id', '=', id)
    return (await query.executeTakeFirstOrThrow()).tokens
  }

  /** Removes at most `limit` rows that are so old; returns how many. */
  async purge(olderThanMs: number, limit: number): Promise<number> {
    // Index budget_ledger_by_time.
    const { rows } = await sql`
      delete from budget_ledger where step_id in (
        select step_id from budget_ledger where at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
        limit ${limit})
      returning step_id`.execute(this.#database.sql)
    return rows.length
  }
}

const valuesOf = (row: LedgerRow) => ({
  step_id: row.stepId,
  at: row.at,
  tenant: row.tenant,
  orchestrator_id: storableText(row.orchestratorId),
  session_id: row.sessionId,
  model: storableText(row.model),
  tools: row.tools.map(storableText),
  prompt_tokens: row.promptTokens,
  cached_tokens: row.cachedTokens,
  completion_tokens: row.completionTokens,
  cost: row.cost,
})
