/**
 * The words of budgets: what may be asked of them, by programs and over HTTP.
 */
import { z } from 'zod'

const MAX_ID_CHARS = 128
const MAX_REASON_CHARS = 1_000
const MAX_TOKENS = 1_000_000_000_000
const MS_PER_DAY = 86_400_000
/** Whoever needs a limit for longer sets it in the settings or the charter. */
const MAX_OVERRIDE_MS = 366 * MS_PER_DAY
const DEFAULT_OVERRIDE_MS = MS_PER_DAY
/** The ledger goes no further back. */
const MAX_REPORT_MS = 92 * MS_PER_DAY

const id = z.string().min(1).max(MAX_ID_CHARS)
const tokens = z.number().int().min(1).max(MAX_TOKENS)

export const overrideSchema = z
  .object({
    scope: z.enum(['session', 'orchestrator', 'tenant']).default('orchestrator'),
    /** The session or orchestrator; of a tenant its own name. */
    scopeId: id,
    period: z.enum(['hourly', 'daily', 'weekly', 'monthly', 'session']),
    /** The limit in place of the one that holds otherwise. */
    tokens,
    /** How long it holds, in ms. */
    forMs: z.number().int().min(1).max(MAX_OVERRIDE_MS).default(DEFAULT_OVERRIDE_MS),
    reason: z.string().min(1).max(MAX_REASON_CHARS),
    createdBy: id,
  })
  .refine(({ scope, period }) => (scope === 'session') === (period === 'session'), {
    path: ['period'],
    message: 'a session has the period `session`, and nothing else has it',
  })
export type OverrideInput = z.input<typeof overrideSchema>

export const usageReportSchema = z
  .object({
    orchestratorId: id.optional(),
    sessionId: id.optional(),
    startTime: z.coerce.date(),
    endTime: z.coerce.date(),
    granularity: z.enum(['hourly', 'daily', 'weekly', 'monthly']).default('daily'),
    groupBy: z
      .array(z.enum(['orchestrator', 'session', 'model', 'tool']))
      .max(4)
      .default([]),
    includeAnomalies: z.boolean().default(false),
  })
  .refine(({ startTime, endTime }) => startTime < endTime, {
    path: ['endTime'],
    message: 'must be later than startTime',
  })
  .refine(({ startTime, endTime }) => endTime.getTime() - startTime.getTime() <= MAX_REPORT_MS, {
    path: ['startTime'],
    message: `must not be more than ${MAX_REPORT_MS / MS_PER_DAY} days before endTime`,
  })
export type UsageReportInput = z.input<typeof usageReportSchema>

/** What a program has used of a model by itself. */
export const usageSchema = z.object({
  orchestratorId: id,
  sessionId: id.optional(),
  model: z.string().min(1).max(256),
  promptTokens: z.number().int().min(0).max(MAX_TOKENS).default(0),
  completionTokens: z.number().int().min(0).max(MAX_TOKENS).default(0),
  cachedTokens: z.number().int().min(0).max(MAX_TOKENS).default(0),
  toolName: id.optional(),
  /** The same id is the same call. */
  usageId: id.optional(),
})
export type UsageInput = z.input<typeof usageSchema>

export type BudgetStatus = 'healthy' | 'warning' | 'critical' | 'exceeded'

/** A limit, and how much of it is used now. */
export interface BudgetUse {
  readonly scope: 'session' | 'orchestrator' | 'tenant'
  readonly id: string
  readonly period: 'hourly' | 'daily' | 'weekly' | 'monthly' | 'session'
  readonly limit: number
  readonly used: number
  /** By calls under way. */
  readonly reserved: number
  readonly remaining: number
  readonly percent: number
  readonly status: BudgetStatus
  readonly resetsAt: string | null
}

export interface UsageSums {
  readonly calls: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  readonly tokens: number
  /** In US dollars. */
  readonly cost: number
}

export interface UsageBreakdown extends UsageSums {
  readonly from: string
  readonly orchestrator?: string
  readonly session?: string
  readonly model?: string
  /** '' for calls that asked for no tool. */
  readonly tool?: string
}

/** An hour in which far more was used than in the others. */
export interface UsageAnomaly {
  readonly from: string
  readonly tokens: number
  /** Of the hours in which something was used. */
  readonly mean: number
  readonly deviation: number
  /** How many deviations it is above the mean. */
  readonly score: number
}

export interface CostEstimate {
  /** US dollars at the rate of the report. */
  readonly daily: number
  readonly weekly: number
  readonly monthly: number
  /** 0.1 to 0.95: the more days, the surer. */
  readonly confidence: number
  /** The month in other currencies, at fixed rates. */
  readonly monthlyIn: { readonly EUR: number; readonly GBP: number }
}

export interface UsageReport {
  readonly period: { readonly start: string; readonly end: string; readonly granularity: string }
  readonly summary: UsageSums
  readonly breakdown: readonly UsageBreakdown[]
  /** There was more than a report shows. */
  readonly truncated: boolean
  readonly anomalies?: readonly UsageAnomaly[]
  readonly costEstimate: CostEstimate
}
