/**
 * What a session asks of the budgets: before each model call whether it may be made, after it to count what it used.
 */
import type { Usage } from '../models/model.js'

/** Whose tokens they are: every budget of these three counts. */
export interface Spender {
  readonly tenant: string
  readonly orchestratorId: string
  readonly sessionId: string
}

/** A model call that is about to be made. */
export interface BudgetedCall {
  /** `turn:step` in its session. A later attempt at the same place takes the place of an earlier one. */
  readonly place: string
  /** One attempt at it: what is asked again under the same name is not counted again. */
  readonly attempt: string
  readonly model: string
  readonly promptTokens: number
  readonly maxTokens: number
}

export interface Spent {
  readonly model: string
  readonly usage: Usage
  /** Names of the tools that the answer asks for. */
  readonly tools: readonly string[]
}

export interface Grant {
  /** The longest answer that may be asked for. */
  readonly maxTokens: number
  /** Counts what the call used and gives back the rest. Only the first word counts. Does not fail: it is tried again behind. */
  settle(usage: Usage, tools: readonly string[]): Promise<void>
}

export interface Budgets {
  /**
   * Reserves what a call may use. Waits while other calls hold what is left.
   * @throws ServiceError `budget_exceeded`, `unavailable`, or the signal's reason
   */
  reserve(spender: Spender, call: BudgetedCall, signal: AbortSignal): Promise<Grant>
  /** @throws ServiceError `budget_exceeded` when nothing is left, `unavailable` */
  check(spender: Spender, signal: AbortSignal): Promise<void>
}

/** Everything is granted and nothing counted. */
export const unlimitedBudgets: Budgets = {
  reserve: async (_spender, { maxTokens }) => ({ maxTokens, settle: async () => undefined }),
  check: async () => undefined,
}
