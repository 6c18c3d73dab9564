/**
 * The budget of one turn. A runtime that calls the model itself reserves each call; an agent that calls it on its own has
 * its messages counted as they are recorded, and is stopped at the first that asks for more than there is.
 */
import { randomBytes } from 'node:crypto'
import type { Budgets, Spender } from '../budget/budgets.js'
import type { Allowance, Journal, PlannedCall } from '../runtimes/runtime.js'

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
  #reserves = false

  constructor(options: TurnBudgetOptions) {
    this.#options = options
  }

  /** @throws ServiceError `budget_exceeded`, `unavailable`, or the signal's reason */
  async reserve(call: PlannedCall): Promise<Allowance> {
    const { budgets, spender, signal } = this.#options
    this.#reserves = true
    const grant = await budgets.reserve(spender, { ...call, ...this.#next() }, signal)
    return { maxTokens: grant.maxTokens, settle: (usage, tools = []) => grant.settle(usage, tools) }
  }

  /** @throws ServiceError `budget_exceeded`, `unavailable`, or the signal's reason */
  async check(): Promise<void> {
    const { budgets, spender, signal } = this.#options
    await budgets.check(spender, signal)
  }

  /** The journal for the runtime. */
  counted(journal: Journal): Journal {
    let model = ''
    return {
      messageStarted: (...message) => {
        model = message[0]
        return journal.messageStarted(...message)
      },
      text: (chunk) => journal.text(chunk),
      messageEnded: async (end) => {
        const refusal = this.#reserves ? undefined : await this.#record(model, end)
        await journal.messageEnded(end)
        // A last answer stands; whoever wants to go on needs tokens for it.
        if (refusal && end.toolCalls.length > 0) throw refusal
      },
      toolStarted: (...call) => journal.toolStarted(...call),
      toolEnded: (...call) => journal.toolEnded(...call),
    }
  }

  async #record(model: string, { usage, toolCalls }: Parameters<Journal['messageEnded']>[0]): Promise<unknown> {
    const { budgets, spender } = this.#options
    try {
      await budgets.record(spender, this.#next(), { model, usage, tools: toolCalls.map(({ name }) => name) })
      return undefined
    } catch (refusal) {
      return refusal
    }
  }

  #next(): { readonly place: string; readonly attempt: string } {
    const { turn, steps } = this.#options
    this.#calls += 1
    return { place: `${turn}:${steps()}`, attempt: `${this.#run}.${this.#calls}` }
  }
}
