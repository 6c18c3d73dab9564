/**
 * Questions about the ledger: who used how much, when, with which model and for which tools.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'

export const DIMENSIONS = ['orchestrator', 'session', 'model', 'tool'] as const
export type Dimension = (typeof DIMENSIONS)[number]
export type Granularity = 'hourly' | 'daily' | 'weekly' | 'monthly'

export interface UsageQuestion {
  readonly tenant: string
  readonly orchestratorId?: string | undefined
  readonly sessionId?: string | undefined
  readonly start: Date
  readonly end: Date
}

export interface UsageGroup {
  /** Begin of the hour, day, week or month in UTC. */
  readonly from: Date
  /** Undefined for what was not asked for. */
  readonly orchestrator?: string
  readonly session?: string
  readonly model?: string
  /** '' for calls that asked for no tool. */
  readonly tool?: string
  readonly calls: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  readonly tokens: number
  readonly cost: number
}

const UNITS: Readonly<Record<Granularity, string>> = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month' }
const COLUMNS: Readonly<Record<Dimension, string>> = {
  orchestrator: 'orchestrator_id',
  session: 'session_id',
  model: 'model',
  tool: 'tool',
}

export class UsageReports {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * At most `limit` groups, oldest first. By tool, the tokens of a call are shared out evenly among the tools that its
   * answer asked for.
   */
  async groups(
    question: UsageQuestion,
    by: readonly Dimension[],
    every: Granularity,
    limit: number,
  ): Promise<UsageGroup[]> {
    const names = by.map((dimension) => sql`, ${sql.ref(COLUMNS[dimension])} as ${sql.ref(dimension)}`)
    const asked = by.map((dimension) => sql`, ${sql.ref(COLUMNS[dimension])}`)
    const shared = by.includes('tool')
      ? sql`select l.*, t.tool, 1.0 / greatest(cardinality(l.tools), 1) as share from budget_ledger l
          cross join lateral unnest(case when l.tools = '{}' then array[''] else l.tools end) as t (tool)`
      : sql`select l.*, 1.0 as share from budget_ledger l`
    const sum = (column: string) => sql`sum(${sql.ref(column)} * share)::float8`
    const { rows } = await sql<UsageGroup>`
      select date_trunc(${UNITS[every]}, at, 'UTC') as "from" ${sql.join(names, sql``)},
        count(distinct step_id)::float8 as calls, ${sum('prompt_tokens')} as "promptTokens",
        ${sum('cached_tokens')} as "cachedTokens", ${sum('completion_tokens')} as "completionTokens",
        ${sum('tokens')} as tokens, ${sum('cost')} as cost
      from (${shared} where ${of(question)}) u
      group by 1 ${sql.join(asked, sql``)}
      order by 1, tokens desc ${sql.join(asked, sql``)}
      limit ${limit}`.execute(this.#database.sql)
    return rows
  }
}

// Indexes budget_ledger_by_tenant, budget_ledger_by_orchestrator, budget_ledger_by_session.
function of({ tenant, orchestratorId, sessionId, start, end }: UsageQuestion) {
  const orchestrator = orchestratorId === undefined ? sql`` : sql`and orchestrator_id = ${orchestratorId}`
  const session = sessionId === undefined ? sql`` : sql`and session_id = ${sessionId}`
  return sql`tenant = ${tenant} and at >= ${start} and at < ${end} ${orchestrator} ${session}`
}
