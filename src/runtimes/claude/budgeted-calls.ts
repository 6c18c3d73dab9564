/**
 * The model calls that Claude Code makes in a turn, one allowance for each: its agents call side by side, and it calls for
 * purposes of its own too.
 */
import { randomUUID } from 'node:crypto'
import { ServiceError } from '../../protocol/errors.js'
import type { Allowance, PlannedCall, Turn } from '../runtime.js'

export class BudgetedCalls {
  readonly #turn: Pick<Turn, 'reserve' | 'beforeEffect'>
  /** The last call was refused: what the turn ends with. */
  #refusal: ServiceError | undefined
  #asked = 0

  constructor(turn: Pick<Turn, 'reserve' | 'beforeEffect'>) {
    this.#turn = turn
  }

  get refusal(): ServiceError | undefined {
    return this.#refusal
  }

  /** Calls that were asked for. */
  get asked(): number {
    return this.#asked
  }

  /** Throws when no call may be made at this moment. */
  mayCall(): void {
    this.#turn.beforeEffect()
  }

  /** @throws ServiceError `budget_exceeded`, which then is the turn's `refusal`. */
  async reserve(call: PlannedCall): Promise<Allowance> {
    this.#asked += 1
    try {
      const allowance = await this.#turn.reserve({ ...call, lane: randomUUID() })
      this.#refusal = undefined
      return allowance
    } catch (error) {
      if (error instanceof ServiceError) this.#refusal = error
      throw error
    }
  }
}
