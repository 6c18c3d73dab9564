/**
 * Reads a session from the store, and sees to it that the store does not hold less than what was written: not less than
 * this worker remembers, and, where the store is in doubt, not less than Postgres.
 */
import type { Claim, SessionLog, SessionRecord, SmallState } from '../bus/bus.js'
import type { Command } from '../bus/command.js'
import { type Forwarded, type ForwardStorage, forwardSession } from './session-forward.js'
import type { LoadedSession, Logger } from './session-services.js'
import type { StoreRecovery } from './store-recovery.js'
import { seqOf, type WriteTail } from './write-tail.js'

/** A store may fail over again while a session is read; one that still lacks something is taken as it is. */
const MAX_READS = 3

export interface SessionLoaderOptions {
  readonly log: Pick<SessionLog, 'load' | 'commit'>
  readonly storage: ForwardStorage
  /** Both undefined on a bus that loses nothing. */
  readonly tail: WriteTail | undefined
  readonly recovery: Pick<StoreRecovery, 'cleared' | 'isDoubted'> | undefined
  /** The store lacks what a session has written under this claim. See `SessionServices.restoreStore`. */
  readonly restore: (claim: Claim, sessionId: string) => Promise<boolean>
  readonly logger: Logger
}

export class SessionLoader {
  constructor(private readonly options: SessionLoaderOptions) {}

  /**
   * Undefined when the store does not hold the session.
   * @throws what a store throws that does not answer; Postgres counts only where Redis is in doubt.
   */
  async load(claim: Claim, sessionId: string): Promise<LoadedSession | undefined> {
    const record = await this.#read(claim, sessionId)
    if (!record || !this.options.recovery?.isDoubted(claim.shard)) return record
    const { events, ended } = await this.#forward(record, claim)
    if (events === 0) return record
    const forwarded = await this.#read(claim, sessionId)
    return forwarded && { ...forwarded, state: withoutEnded(forwarded, ended), ended: [...ended] }
  }

  /** Moves a session forward to number `upTo`, as far as Postgres has it, and tells how far. @throws as `load` */
  async forward(claim: Claim, sessionId: string, upTo: number): Promise<number> {
    const record = await this.options.log.load(sessionId)
    return record ? (await this.#forward(record, claim, upTo)).events : 0
  }

  async #forward(record: SessionRecord, claim: Claim, upTo?: number): Promise<Forwarded> {
    const { log, storage, logger } = this.options
    const { sessionId } = record
    const forwarded = await forwardSession(record, claim, log, storage, upTo)
    const { events } = forwarded
    if (events > 0) logger.warn({ sessionId, events }, 'a session was moved forward to what Postgres has of it')
    return forwarded
  }

  async #read(claim: Claim, sessionId: string): Promise<SessionRecord | undefined> {
    const { log, tail, recovery } = this.options
    for (let reads = 1; ; reads++) {
      await recovery?.cleared(claim.shard)
      const record = await log.load(sessionId)
      const lacks = tail && tail.lastSeqOf(claim, sessionId) > (record ? seqOf(record.head) : 0)
      if (!lacks || reads === MAX_READS || !(await this.options.restore(claim, sessionId))) return record
    }
  }
}

/** Its state, in which commands that were accepted anew before they were known to have ended are passed over. */
function withoutEnded({ state, inbox }: SessionRecord, ended: ReadonlySet<string>): string {
  const small = JSON.parse(state) as SmallState
  const again = inbox.map((body) => (JSON.parse(body) as Command).id).filter((id) => ended.has(id))
  return JSON.stringify({ ...small, cancelled: [...new Set([...small.cancelled, ...again])] })
}
