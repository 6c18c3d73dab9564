/**
 * The budget of one turn: names each of its calls, so that what is told twice counts once.
 */
import { randomBytes } from 'node:crypto'
import type { Budgets, Spender } from '../budget/budgets.js'
import type { Allowance, PlannedCall } from '../runtimes/runtime.js'

const TOKEN_BYTES = 6

export interface TurnBudgetOptions {
  readonly budgets: Budgets
  readonly spender: Spender
  readonly turn: number
  /** Model calls of this turn that have ended. */
  readonly steps: () => number
  readonly signal: AbortSignal
}

export class TurnBudget {
  readonly #options: TurnBudgetOptions
  /** Tells this run of the turn from one that another owner began: both may have called the model. */
  readonly #run = randomBytes(TOKEN_BYTES).toString('hex')
  #calls = 0

  constructor(options: TurnBudgetOptions) {
    this.#options = options
  }

  /** @throws ServiceError `budget_exceeded`, `unavailable`, or the signal's reason */
  async reserve(call: PlannedCall): Promise<Allowance> {
    const { budgets, spender, signal } = this.#options
    const { model, promptTokens, maxTokens, lane } = call
    const grant = await budgets.reserve(spender, { model, promptTokens, maxTokens, ...this.#next(lane) }, signal)
    return { maxTokens: grant.maxTokens, settle: (usage, tools = []) => grant.settle(usage, tools) }
  }

  /** Whether anything is left. @throws ServiceError `budget_exceeded`, `unavailable`, or the signal's reason */
  async check(): Promise<void> {
    const { budgets, spender, signal } = this.#options
    await budgets.check(spender, signal)
  }

  #next(lane?: string): { readonly place: string; readonly attempt: string } {
    const { turn, steps } = this.#options
    this.#calls += 1
    const step = `${turn}:${steps()}`
    return { place: lane === undefined ? step : `${step}:${lane}`, attempt: `${this.#run}.${this.#calls}` }
  }
}
