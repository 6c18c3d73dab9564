/**
 * Which limits a session's calls count against: those of the settings, made smaller by its charter, and in place of both
 * what somebody has allowed for a while.
 */
import type { Spender } from './budgets.js'
import type { Limit, Period, Scope } from './periods.js'

/** Tokens in each window of a period; what is left out has no limit. */
export type PeriodLimits = Readonly<Partial<Record<Period, number>>>

export interface LimitSettings {
  /** Of each orchestrator and tenant; the name of a session's own period is `session`. */
  readonly session: PeriodLimits
  readonly orchestrator: PeriodLimits
  readonly tenant: PeriodLimits
}

/** What charters allow. They are the sessions' own law: they can take from what the operator has set, not add to it. */
export interface CharterLimits {
  of(spender: Spender): PeriodLimits
}

export interface HoldingOverride {
  readonly scope: Scope
  readonly scopeId: string
  readonly period: Period
  readonly tokens: number
  readonly leftMs: number
}

/** Those of a tenant that hold now, oldest first. */
export type FindOverrides = (tenant: string) => Promise<readonly HoldingOverride[]>

export interface LimitBookOptions {
  readonly settings: LimitSettings
  readonly charter: CharterLimits
  readonly findOverrides: FindOverrides
  readonly onError: (error: unknown) => void
  /** Monotonic, in ms. */
  readonly clock?: () => number
}

/** A new override that raises a limit is found when a call is refused; one that lowers it within this time. */
const FRESH_MS = 5_000
/** Tenants whose overrides are remembered. */
const MAX_TENANTS = 10_000

interface Known {
  readonly overrides: readonly (HoldingOverride & { readonly until: number })[]
  readonly at: number
}

export class LimitBook {
  readonly #options: LimitBookOptions
  readonly #clock: () => number
  readonly #known = new Map<string, Known>()

  constructor(options: LimitBookOptions) {
    this.#options = options
    this.#clock = options.clock ?? (() => performance.now())
  }

  /** `afresh` looks for overrides that were set a moment ago. While the database is away, those known last hold on. */
  async of(spender: Spender, afresh = false): Promise<readonly Limit[]> {
    const { settings, charter } = this.#options
    const ruled = charter.of(spender)
    const { session, ...periods } = ruled
    const limits = [
      ...listed('session', spender.sessionId, smaller(settings.session, session === undefined ? {} : { session })),
      ...listed('orchestrator', spender.orchestratorId, smaller(settings.orchestrator, periods)),
      ...listed('tenant', spender.tenant, settings.tenant),
    ]
    return this.#overridden(limits, spender, await this.#overrides(spender.tenant, afresh))
  }

  #overridden(limits: readonly Limit[], spender: Spender, overrides: Known['overrides']): readonly Limit[] {
    if (overrides.length === 0) return limits
    const ids: Readonly<Record<Scope, string>> = {
      session: spender.sessionId,
      orchestrator: spender.orchestratorId,
      tenant: spender.tenant,
    }
    const now = this.#clock()
    const byPlace = new Map(limits.map((limit) => [`${limit.scope} ${limit.period}`, limit]))
    for (const { scope, scopeId, period, tokens, until } of overrides) {
      if (scopeId !== ids[scope] || until <= now) continue
      byPlace.set(`${scope} ${period}`, { scope, id: scopeId, period, tokens })
    }
    return [...byPlace.values()]
  }

  async #overrides(tenant: string, afresh: boolean): Promise<Known['overrides']> {
    const known = this.#known.get(tenant)
    if (known && !afresh && this.#clock() - known.at < FRESH_MS) return known.overrides
    try {
      return await this.#load(tenant)
    } catch (error) {
      this.#options.onError(error)
      const overrides = known?.overrides ?? []
      this.#remember(tenant, overrides)
      return overrides
    }
  }

  async #load(tenant: string): Promise<Known['overrides']> {
    const found = await this.#options.findOverrides(tenant)
    const now = this.#clock()
    const overrides = found.map((each) => ({ ...each, until: now + each.leftMs }))
    this.#remember(tenant, overrides)
    return overrides
  }

  #remember(tenant: string, overrides: Known['overrides']): void {
    this.#known.delete(tenant)
    const oldest = this.#known.size >= MAX_TENANTS ? this.#known.keys().next().value : undefined
    if (oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(tenant, { overrides, at: this.#clock() })
  }
}

function smaller(first: PeriodLimits, second: PeriodLimits): PeriodLimits {
  const both: Partial<Record<Period, number>> = { ...first }
  for (const [period, tokens] of Object.entries(second) as [Period, number | undefined][]) {
    if (tokens !== undefined) both[period] = Math.min(tokens, first[period] ?? Number.POSITIVE_INFINITY)
  }
  return both
}

const listed = (scope: Scope, id: string, limits: PeriodLimits): Limit[] =>
  Object.entries(limits).flatMap(([period, tokens]) =>
    tokens === undefined ? [] : [{ scope, id, period: period as Period, tokens }],
  )
