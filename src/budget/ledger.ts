/**
 * The ledger as the budgets use it: what calls have used goes to the database behind their back, in batches, and what was
 * used in a window is asked when the meter does not know.
 */
import type { LedgerRow, LedgerSpan } from '../storage/budget-ledger.js'
import type { Window } from './periods.js'

export interface LedgerStore {
  /** May be repeated. */
  add(entries: readonly LedgerRow[]): Promise<void>
  sum(span: LedgerSpan): Promise<number>
}

export interface LedgerOptions {
  readonly store: LedgerStore
  readonly onError: (error: unknown, waiting: number) => void
  /** Entries were given up. */
  readonly onDropped: (count: number) => void
  readonly flushMs?: number
}

/** A worker that dies loses at most what it settled in this time from the reports; the count is not among it. */
const FLUSH_MS = 200
/** Rows of one statement. */
const BATCH = 500
/** What waits while the database is away: hours of a busy worker, some 20 MB. Then the oldest goes. */
const MAX_WAITING = 50_000
const RETRY_MS = 1_000
/** A call does not wait longer for a count to be rebuilt. */
const SUM_TIMEOUT_MS = 2_000
/** After the database did not answer, it is not asked again for so long. */
const SUM_PAUSE_MS = 5_000
/** For what waits when the process stops. */
const STOP_MS = 5_000

export class Ledger {
  readonly #options: LedgerOptions
  #waiting: LedgerRow[] = []
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> | undefined
  #askAgainAt = 0
  #stopped = false

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  add(entry: LedgerRow): void {
    this.#waiting.push(entry)
    const tooMany = this.#waiting.length - MAX_WAITING
    if (tooMany > 0) {
      this.#waiting.splice(0, tooMany)
      this.#options.onDropped(tooMany)
    }
    this.#schedule(this.#options.flushMs ?? FLUSH_MS)
  }

  /** Writes what waits; resolves also when the database is away, which is then tried again. */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  /** Tokens in each of the windows, by its name; undefined where the database does not say. */
  async sums(tenant: string, windows: readonly Window[]): Promise<ReadonlyMap<string, number | undefined>> {
    if (performance.now() < this.#askAgainAt) return new Map(windows.map(({ name }) => [name, undefined]))
    try {
      return new Map(await within(SUM_TIMEOUT_MS, this.#sums(tenant, windows)))
    } catch (error) {
      this.#askAgainAt = performance.now() + SUM_PAUSE_MS
      this.#options.onError(error, this.#waiting.length)
      return new Map(windows.map(({ name }) => [name, undefined]))
    }
  }

  /** Writes what waits, as long as that takes a few seconds. May be called twice. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const end = performance.now() + STOP_MS
    while (this.#waiting.length > 0 && performance.now() < end) {
      const before = this.#waiting.length
      await within(STOP_MS, this.flush()).catch(() => undefined)
      if (this.#waiting.length >= before) break
    }
    if (this.#waiting.length > 0) this.#options.onDropped(this.#waiting.length)
    this.#waiting = []
  }

  async #sums(tenant: string, windows: readonly Window[]): Promise<readonly (readonly [string, number])[]> {
    // What this process has settled itself is in the ledger, or the count would begin without it.
    await this.flush()
    const { store } = this.#options
    return await Promise.all(
      windows.map(async ({ name, scope, id, start, end }) => {
        const until = end === 0 ? undefined : new Date(end)
        return [name, await store.sum({ tenant, scope, id, start: new Date(start), end: until })] as const
      }),
    )
  }

  #schedule(inMs: number): void {
    if (this.#timer || this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.flush()
    }, inMs)
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH)
      try {
        await this.#options.store.add(batch)
      } catch (error) {
        this.#options.onError(error, this.#waiting.length)
        this.#schedule(RETRY_MS)
        return
      }
      const written = new Set(batch)
      this.#waiting = this.#waiting.filter((entry) => !written.has(entry))
    }
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the ledger of budgets did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
