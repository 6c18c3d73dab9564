/**
 * The budgets for people and programs: how much is used, what may be used for a while, what was used and what it cost. All
 * of it within one tenant; whether a caller may ask is for the door through which it comes.
 */
import { randomUUID } from 'node:crypto'
import type {
  BudgetStatus,
  BudgetUse,
  OverrideInput,
  UsageInput,
  UsageReport,
  UsageReportInput,
} from '../protocol/budgets.js'
import { overrideSchema, usageSchema } from '../protocol/budgets.js'
import { ServiceError } from '../protocol/errors.js'
import type { BudgetOverrides, Override } from '../storage/budget-overrides.js'
import type { Spender } from './budgets.js'
import type { LimitBook } from './limits.js'
import type { WindowState } from './meter.js'
import type { Held, TokenBudgets } from './token-budgets.js'
import type { UsageReporter } from './usage-reporter.js'
import { validated } from './validated.js'

export interface BudgetDeskOptions {
  readonly budgets: TokenBudgets
  readonly limits: LimitBook
  readonly overrides: Pick<BudgetOverrides, 'set' | 'revoke' | 'list'>
  readonly reporter: UsageReporter
}

/** A list of overrides; older ones are seldom of interest. */
const MAX_LISTED = 200
const [WARNING_PERCENT, CRITICAL_PERCENT, SPENT_PERCENT] = [80, 95, 100]

export interface Whose {
  readonly tenant: string
  readonly orchestratorId: string
  readonly sessionId?: string | undefined
}

export class BudgetDesk {
  readonly #options: BudgetDeskOptions

  constructor(options: BudgetDeskOptions) {
    this.#options = options
  }

  /** How much is used of every limit that calls of this orchestrator, or session, count against. */
  async uses(whose: Whose): Promise<BudgetUse[]> {
    const spender = spenderOf(whose)
    const windows = await this.#options.budgets.look(spender, await this.#limitsOf(whose, spender))
    return windows.map(useOf)
  }

  /**
   * Holds tokens for a call that a program makes itself.
   * @throws ServiceError `budget_exceeded` when so many are not there at this moment
   */
  async reserve(whose: Whose, tokens: number, ttlMs: number): Promise<Held> {
    const spender = spenderOf(whose)
    const name = { place: `reserved:${randomUUID()}`, attempt: '' }
    return await this.#options.budgets.hold(spender, name, tokens, ttlMs, await this.#limitsOf(whose, spender))
  }

  /** Counts what a program has used by itself; counted already under its `usageId`, it is not counted again. */
  async track(tenant: string, input: UsageInput): Promise<BudgetUse[]> {
    const {
      orchestratorId,
      sessionId,
      usageId = randomUUID(),
      model,
      toolName,
      ...usage
    } = validated(usageSchema, input)
    const whose = { tenant, orchestratorId, sessionId }
    const spender = spenderOf(whose)
    const call = { place: `tracked:${tenant}:${usageId}`, attempt: '' }
    const spent = { model, usage, tools: toolName === undefined ? [] : [toolName] }
    const { windows } = await this.#options.budgets.count(spender, call, spent, await this.#limitsOf(whose, spender))
    return windows.map(useOf)
  }

  /** Returns the id of the override. */
  async setOverride(tenant: string, input: OverrideInput): Promise<number> {
    const override = validated(overrideSchema, input)
    if (override.scope === 'tenant' && override.scopeId !== tenant) {
      throw new ServiceError('invalid_payload', { reason: 'scopeId: must be the tenant itself' })
    }
    return await this.#options.overrides.set({ ...override, tenant })
  }

  /** False when there is no such override, or it holds no longer. */
  async revokeOverride(tenant: string, id: number, by: string): Promise<boolean> {
    return await this.#options.overrides.revoke(tenant, id, by)
  }

  /** The last ones, newest first, with who set and revoked them. */
  async listOverrides(tenant: string): Promise<Override[]> {
    return await this.#options.overrides.list(tenant, MAX_LISTED)
  }

  /** @throws ServiceError `invalid_payload` */
  async report(tenant: string, input: UsageReportInput): Promise<UsageReport> {
    return await this.#options.reporter.getReport(tenant, input)
  }

  async #limitsOf({ sessionId }: Whose, spender: Spender) {
    const limits = await this.#options.limits.of(spender, true)
    return sessionId === undefined ? limits.filter(({ scope }) => scope !== 'session') : limits
  }
}

const spenderOf = ({ tenant, orchestratorId, sessionId = '' }: Whose): Spender => ({
  tenant,
  orchestratorId,
  sessionId,
})

export function useOf({ scope, id, period, tokens: limit, used, held, end }: WindowState): BudgetUse {
  const percent = (used * 100) / limit
  return {
    ...{ scope, id, period, limit, used, reserved: held, percent, status: statusOf(percent) },
    remaining: Math.max(0, limit - used - held),
    resetsAt: end === 0 ? null : new Date(end).toISOString(),
  }
}

function statusOf(percent: number): BudgetStatus {
  if (percent >= SPENT_PERCENT) return 'exceeded'
  if (percent >= CRITICAL_PERCENT) return 'critical'
  return percent >= WARNING_PERCENT ? 'warning' : 'healthy'
}
