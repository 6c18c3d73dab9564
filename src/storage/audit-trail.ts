/**
 * The way of a process's own notes into the audit log: whoever notes something does not wait for the database. What comes
 * while one statement is on its way goes with the next, so that many notes of one tenant take the lock of its chain once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditEntry, type AuditLog, SERVICE_CHAIN } from './audit-log.js'
import { throughOutage } from './outage.js'

/** Notes of one statement: some tens of milliseconds. */
const BATCH = 200
/** Some MB of notes, for an outage of the database. What comes on top of them is counted, and the count noted. */
const MAX_WAITING = 10_000
/** A stop waits so long for the database. */
const STOP_MS = 2_000

export interface AuditTrailOptions {
  readonly log: Pick<AuditLog, 'addAll'>
  readonly trace: { error(fields: object, message: string): void }
  /** How long one statement is tried; default a minute. */
  readonly patienceMs?: number
}

export class AuditTrail {
  readonly #options: AuditTrailOptions
  #waiting: AuditEntry[] = []
  /** Of the statement on its way. */
  #inFlight = 0
  #lost = 0
  #writing: Promise<void> | undefined

  constructor(options: AuditTrailOptions) {
    this.#options = options
  }

  /** Never fails. A note may be written twice when the answer to its statement is lost. */
  add(entry: AuditEntry): void {
    if (this.#waiting.length >= MAX_WAITING) this.#lost += 1
    else this.#waiting.push(entry)
    this.#begin()
  }

  /** Writes what waits, as far as the database answers in time. */
  async stop(): Promise<void> {
    const late = new AbortController()
    await Promise.race([this.#written(), sleep(STOP_MS, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    const left = this.#waiting.length + this.#inFlight
    if (left > 0) this.#tellLost(left, undefined)
  }

  #begin(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
      if (this.#waiting.length > 0) this.#begin()
    })
  }

  async #written(): Promise<void> {
    while (this.#writing) await this.#writing
  }

  /** Ends: each round takes something of what waits, and nothing waits any more when nobody adds. */
  async #write(): Promise<void> {
    // What is noted in the same turn of the event loop goes with the first statement.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      this.#inFlight = batch.length
      await this.#writeBatch(batch)
      this.#inFlight = 0
    }
  }

  async #writeBatch(batch: readonly AuditEntry[]): Promise<void> {
    const lost = this.#lost
    const entries = lost === 0 ? batch : [...batch, lostEntry(lost)]
    const { log, patienceMs } = this.#options
    try {
      await throughOutage(() => log.addAll(entries), { ...(patienceMs !== undefined && { patienceMs }) })
      this.#lost -= lost
    } catch (error) {
      this.#lost += batch.length
      this.#tellLost(batch.length, error)
    }
  }

  #tellLost(rows: number, err: unknown): void {
    this.#options.trace.error({ err, rows }, 'notes for the audit log could not be written')
  }
}

const lostEntry = (rows: number): AuditEntry => ({
  ...{ tenant: SERVICE_CHAIN, actor: 'service', action: 'audit.lost', sessionId: undefined, subject: String(rows) },
  detail: { rows, reason: 'the database did not take them in time' },
})
