/**
 * Reports of what was used, from the ledger: sums, groups, unusual hours, and what it will cost at this rate.
 */
import type {
  CostEstimate,
  UsageAnomaly,
  UsageBreakdown,
  UsageReport,
  UsageReportInput,
  UsageSums,
} from '../protocol/budgets.js'
import { usageReportSchema } from '../protocol/budgets.js'
import type { UsageGroup, UsageReports } from '../storage/usage-report.js'
import { validated } from './validated.js'

export type ReportStore = Pick<UsageReports, 'groups'>

/** Groups of one report; who needs more asks for a shorter time. */
const MAX_GROUPS = 10_000
const MS_PER_DAY = 86_400_000
/** An hour is unusual so many standard deviations above the mean, of at least so many hours. */
const SPIKE_DEVIATIONS = 2.5
const MIN_HOURS = 10
const DAYS_PER_WEEK = 7
const DAYS_PER_MONTH = 30
const [LEAST_SURE, SUREST] = [0.1, 0.95]
const EUR_PER_USD = 0.92
const GBP_PER_USD = 0.79

export class UsageReporter {
  readonly #store: ReportStore
  readonly #now: () => number

  constructor(store: ReportStore, now: () => number = Date.now) {
    this.#store = store
    this.#now = now
  }

  /** @throws ServiceError `invalid_payload` */
  async getReport(tenant: string, input: UsageReportInput): Promise<UsageReport> {
    const query = validated(usageReportSchema, input)
    const { orchestratorId, sessionId, startTime: start, endTime: end, granularity, groupBy, includeAnomalies } = query
    const question = { tenant, orchestratorId, sessionId, start, end }
    const days = await this.#store.groups(question, [], 'daily', MAX_GROUPS)
    const groups = await this.#store.groups(question, [...new Set(groupBy)], granularity, MAX_GROUPS + 1)
    const hours = includeAnomalies ? await this.#store.groups(question, [], 'hourly', MAX_GROUPS) : undefined
    const summary = total(days)
    const until = Math.min(end.getTime(), this.#now())
    return {
      period: { start: start.toISOString(), end: end.toISOString(), granularity },
      summary,
      breakdown: groups.slice(0, MAX_GROUPS).map(shown),
      truncated: groups.length > MAX_GROUPS,
      ...(hours && { anomalies: spikes(hours) }),
      costEstimate: estimate(summary.cost, Math.max(1, (until - start.getTime()) / MS_PER_DAY)),
    }
  }
}

const shown = ({ from, ...group }: UsageGroup): UsageBreakdown => ({ from: from.toISOString(), ...group })

function total(groups: readonly UsageSums[]): UsageSums {
  const sum = (what: keyof UsageSums) => groups.reduce((all, group) => all + group[what], 0)
  return {
    calls: sum('calls'),
    promptTokens: sum('promptTokens'),
    cachedTokens: sum('cachedTokens'),
    completionTokens: sum('completionTokens'),
    tokens: sum('tokens'),
    cost: sum('cost'),
  }
}

function spikes(hours: readonly UsageGroup[]): UsageAnomaly[] {
  if (hours.length < MIN_HOURS) return []
  const mean = hours.reduce((sum, { tokens }) => sum + tokens, 0) / hours.length
  const variance = hours.reduce((sum, { tokens }) => sum + (tokens - mean) ** 2, 0) / hours.length
  const deviation = Math.sqrt(variance)
  return hours.flatMap(({ from, tokens }) => {
    const score = deviation === 0 ? 0 : (tokens - mean) / deviation
    return score > SPIKE_DEVIATIONS ? [{ from: from.toISOString(), tokens, mean, deviation, score }] : []
  })
}

/** The whole time counts, also days without a call. */
function estimate(cost: number, days: number): CostEstimate {
  const daily = cost / days
  const monthly = daily * DAYS_PER_MONTH
  return {
    daily,
    weekly: daily * DAYS_PER_WEEK,
    monthly,
    confidence: Math.min(SUREST, Math.max(LEAST_SURE, days / DAYS_PER_MONTH)),
    monthlyIn: { EUR: monthly * EUR_PER_USD, GBP: monthly * GBP_PER_USD },
  }
}
