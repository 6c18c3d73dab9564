/**
 * The budgets of a worker's sessions: asks the meter before each call, waits where calls in flight hold the rest, and
 * counts afterwards what was used.
 *
 *   limits ──▶ meter.reserve ──▶ (ledger, when the meter does not know) ──▶ call ──▶ ledger + meter.settle ──▶ alerts
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Usage } from '../models/model.js'
import { ServiceError } from '../protocol/errors.js'
import type { BudgetedCall, Budgets, Grant, Spender, Spent } from './budgets.js'
import { exceeded } from './exceeded.js'
import type { Ledger } from './ledger.js'
import type { LimitBook } from './limits.js'
import type { CallName, Crossing, Meter, Reserved, Settled, Thresholds, WindowState } from './meter.js'
import type { Limit } from './periods.js'

export interface BudgetMetrics {
  /** How much of a limit is used, as last heard. */
  utilization(window: Pick<WindowState, 'scope' | 'id' | 'period'>, percent: number): void
  refused(window: Pick<WindowState, 'scope' | 'period'>): void
  /** A call was counted nowhere but in the ledger. */
  unsettled(): void
}

export interface TokenBudgetsOptions {
  readonly meter: Meter
  readonly ledger: Ledger
  readonly limits: LimitBook
  readonly costOf: (model: string, usage: Usage) => number
  /** Percent of a limit at which `onCrossing` is told. */
  readonly thresholds: Thresholds
  readonly onCrossing: (spender: Spender, crossing: Crossing) => void
  readonly metrics: BudgetMetrics
  readonly onError: (error: unknown, what: string) => void
  /** Calls wait until the ledger has them: where nothing else outlives the process. */
  readonly writesThrough: boolean
  readonly waitMs?: number
}

/** Five minutes until the first word, then the longest answer at twenty tokens a second, and some more. */
const CALL_DEADLINE_MS = 900_000
/** A call waits so long for those that hold the rest; most give back nearly all of it within seconds. */
const HELD_WAIT_MS = 30_000
const FIRST_PAUSE_MS = 25
const MAX_PAUSE_MS = 500
/** A shorter answer is of no use to anybody: the last call before the end of a budget may exceed it by so much. */
const MIN_ANSWER_TOKENS = 256
/** Counting is not refused. */
const WHATEVER = Number.MIN_SAFE_INTEGER
/** A failover of the store fits; then the session cannot write either. */
const STORE_PATIENCE_MS = 15_000
/** The ledger is asked, and a window may begin meanwhile. */
const MAX_QUESTIONS = 4

type Place = Pick<BudgetedCall, 'place' | 'attempt'>
type Granted = Extract<Reserved, { status: 'granted' }>
interface Wish {
  readonly want: number
  readonly least: number
  readonly ttlMs?: number
}

/** Tokens that somebody has put aside. */
export interface Held {
  readonly expiresAt: Date
  /** Counts what was used and gives back the rest; only the first word counts. */
  settle(spent: Spent): Promise<readonly WindowState[]>
}

interface Counted {
  readonly windows: readonly WindowState[]
  readonly at: number
}

export class TokenBudgets implements Budgets {
  readonly #options: TokenBudgetsOptions
  readonly #settling = new Set<Promise<unknown>>()

  constructor(options: TokenBudgetsOptions) {
    this.#options = options
  }

  async reserve(spender: Spender, call: BudgetedCall, signal: AbortSignal): Promise<Grant> {
    const { model, promptTokens, maxTokens } = call
    const name = nameOf(spender, call)
    const granted = await this.#grant(spender, name, { want: promptTokens + maxTokens, least: 1 }, signal)
    return {
      maxTokens: Math.max(Math.min(MIN_ANSWER_TOKENS, maxTokens), Math.min(maxTokens, granted.tokens - promptTokens)),
      settle: async (usage, tools) => {
        await this.#settle(spender, name, granted, { model, usage, tools })
      },
    }
  }

  async check(spender: Spender, signal: AbortSignal): Promise<void> {
    await this.#grant(spender, nameOf(spender, { place: 'check', attempt: '' }), { want: 0, least: 1 }, signal)
  }

  /** The windows that are open now. */
  async look(spender: Spender, limits: readonly Limit[]): Promise<readonly WindowState[]> {
    const name = nameOf(spender, { place: 'look', attempt: '' })
    return (await this.#windows(name, limits)).windows
  }

  /** Counts a call that was made without asking. */
  async count(spender: Spender, call: Place, spent: Spent, limits: readonly Limit[]): Promise<Counted> {
    const name = nameOf(spender, call)
    const open = await this.#windows(name, limits)
    return { windows: (await this.#settle(spender, name, open, spent)) ?? open.windows, at: open.at }
  }

  /**
   * Holds so many tokens, all or none, for somebody who makes the call elsewhere.
   * @throws ServiceError `budget_exceeded`, without waiting
   */
  async hold(spender: Spender, call: Place, tokens: number, ttlMs: number, limits: readonly Limit[]): Promise<Held> {
    const name = nameOf(spender, call)
    const reply = await this.#ask(name, limits, { want: tokens, least: tokens, ttlMs })
    if (reply.status !== 'granted') {
      for (const crossing of reply.crossed) this.#options.onCrossing(spender, crossing)
      throw this.#refuse(reply.window, reply.status, reply.at)
    }
    return {
      expiresAt: new Date(reply.at + ttlMs),
      settle: async (spent) => (await this.#settle(spender, name, reply, spent)) ?? reply.windows,
    }
  }

  /** Waits for what is still being counted. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#settling)
  }

  async #grant(spender: Spender, name: CallName, wish: Wish, signal: AbortSignal): Promise<Granted> {
    const until = performance.now() + (this.#options.waitMs ?? HELD_WAIT_MS)
    let limits = await this.#options.limits.of(spender)
    let isFresh = false
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      signal.throwIfAborted()
      const reply = await this.#ask(name, limits, wish, signal)
      if (reply.status === 'granted') return reply
      for (const crossing of reply.crossed) this.#options.onCrossing(spender, crossing)
      if (reply.status === 'spent' && !isFresh) {
        // Somebody may have allowed more a moment ago.
        limits = await this.#options.limits.of(spender, true)
        isFresh = true
        continue
      }
      if (reply.status === 'spent' || performance.now() > until)
        throw this.#refuse(reply.window, reply.status, reply.at)
      await sleep(pauseMs / 2 + (Math.random() * pauseMs) / 2, undefined, { signal })
    }
  }

  #refuse(window: WindowState, status: 'spent' | 'held', at: number): ServiceError {
    this.#options.metrics.refused(window)
    return exceeded(window, status, at)
  }

  async #windows(name: CallName, limits: readonly Limit[]): Promise<Granted> {
    const reply = await this.#ask(name, limits, { want: 0, least: WHATEVER })
    if (reply.status !== 'granted') throw new Error('a meter refused to say what was used')
    return reply
  }

  /** Asks the meter, and the ledger where the meter does not know. */
  async #ask(
    name: CallName,
    limits: readonly Limit[],
    wish: Wish,
    signal?: AbortSignal,
  ): Promise<Exclude<Reserved, { status: 'missing' }>> {
    let ledger: ReadonlyMap<string, number | undefined> = new Map()
    for (let questions = 0; questions < MAX_QUESTIONS; questions++) {
      const known = ledger
      const ask = () =>
        this.#options.meter.reserve({ ttlMs: CALL_DEADLINE_MS, ...name, ...wish, limits, ledger: known })
      const reply = await patiently(ask, signal)
      if (reply.status !== 'missing') return this.#heard(reply)
      ledger = new Map([...ledger, ...(await this.#options.ledger.sums(name.tenant, reply.windows))])
    }
    throw new ServiceError('unavailable', { reason: 'the counts of the budgets do not stand still' })
  }

  #heard<Reply extends Exclude<Reserved, { status: 'missing' }>>(reply: Reply): Reply {
    this.#show(reply.status === 'granted' ? reply.windows : [reply.window])
    return reply
  }

  #show(windows: readonly WindowState[]): void {
    for (const window of windows) this.#options.metrics.utilization(window, (window.used * 100) / window.tokens)
  }

  async #settle(spender: Spender, name: CallName, { at, windows }: Granted, spent: Spent): Promise<Settled['windows']> {
    const { ledger, costOf, writesThrough, thresholds } = this.#options
    const { model, usage, tools } = spent
    const tokens = usage.promptTokens + usage.completionTokens
    if (tokens > 0) {
      const { orchestratorId, sessionId, tenant } = spender
      ledger.add({
        ...{
          stepId: `${name.place}:${name.attempt}`,
          at: new Date(at),
          tenant,
          orchestratorId,
          sessionId,
          model,
          tools,
        },
        promptTokens: usage.promptTokens,
        cachedTokens: usage.cachedTokens ?? 0,
        completionTokens: usage.completionTokens,
        cost: costOf(model, usage),
      })
      if (writesThrough) await ledger.flush()
    }
    const counted = this.#count(() => this.#options.meter.settle({ ...name, tokens, windows, thresholds }), spender)
    this.#settling.add(counted)
    return await counted.finally(() => this.#settling.delete(counted))
  }

  /** Never fails: a count that the store does not take comes back from the ledger when the store has lost something. */
  async #count(settle: () => Promise<Settled>, spender: Spender): Promise<Settled['windows']> {
    try {
      const { windows, crossed } = await patiently(settle)
      if (windows) this.#show(windows)
      for (const crossing of crossed) this.#options.onCrossing(spender, crossing)
      return windows
    } catch (error) {
      this.#options.metrics.unsettled()
      this.#options.onError(error, 'a model call could not be counted')
      return undefined
    }
  }
}

/** Asks the meter again while it cannot be reached: whatever is asked of it may be repeated. */
async function patiently<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const until = performance.now() + STORE_PATIENCE_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      return await ask()
    } catch (error) {
      const reason = 'the counts of the budgets cannot be reached'
      if (performance.now() > until) throw new ServiceError('unavailable', { reason }, { cause: error })
    }
    await sleep(pauseMs, undefined, { signal })
  }
}

const nameOf = (
  { tenant, sessionId }: Spender,
  { place, attempt }: Pick<BudgetedCall, 'place' | 'attempt'>,
): CallName => ({
  tenant,
  place: `${sessionId}:${place}`,
  attempt,
})
